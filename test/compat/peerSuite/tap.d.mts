export interface Assertion {
  readonly test: string
  readonly name: string
  readonly ok: boolean
}

export interface Loss {
  readonly test: string
  readonly name: string
  readonly missing: number
  readonly failed: number
}

export declare const parse: (text: string) => ReadonlyArray<Assertion>
export declare const counts: (assertions: ReadonlyArray<Assertion>) => {
  readonly ok: number
  readonly notOk: number
}
export declare const losses: (
  real: ReadonlyArray<Assertion>,
  ours: ReadonlyArray<Assertion>
) => ReadonlyArray<Loss>
