/** What `test/tidy.test.ts` asks about a project's sources, read with TypeScript's own parser into plain data. */
import * as fs from "node:fs"
import * as path from "node:path"
import * as ast from "typescript/unstable/ast"
import { API } from "typescript/unstable/sync"

export interface Import {
  /** As written. */
  readonly specifier: string
  /** The source it names, when that is one of ours: its path from the root. */
  readonly target: string | undefined
  /** `import type` and `export type ... from`: gone at run time. */
  readonly typeOnly: boolean
  /** The names imported, of types too; `*` for everything. */
  readonly names: ReadonlyArray<string>
}

export interface Source {
  /** Path from the root, with `/`. */
  readonly file: string
  readonly lines: number
  readonly imports: ReadonlyArray<Import>
  readonly exports: ReadonlyArray<string>
  /** Functions, methods and accessors, with the line they start on. */
  readonly functions: ReadonlyArray<{ readonly line: number; readonly lines: number }>
  /** Globals that are called, constructed or reached into: `Date.now`, `new Date()`, `setTimeout`. */
  readonly globals: ReadonlyArray<{ readonly line: number; readonly name: string }>
}

/** The sources under `folder` of the TypeScript project at `root`. */
export const readSources = (root: string, folder: string): ReadonlyArray<Source> => {
  const api = new API({ cwd: root })
  try {
    const project = api.updateSnapshot({ openProjects: [path.join(root, "tsconfig.json")] }).getProjects()[0]
    if (project === undefined) throw new Error(`no TypeScript project at ${root}`)
    const names = project.rootFiles.filter((name) => name.startsWith(path.join(root, folder) + path.sep))
    return names.map((name) => readSource(root, project.program.getSourceFile(name)!))
  } finally {
    api.close()
  }
}

const fromRoot = (root: string, name: string) => path.relative(root, name).split(path.sep).join("/")

const readSource = (root: string, file: ast.SourceFile): Source => {
  const imports: Array<Import> = []
  const exports: Array<string> = []
  const functions: Array<{ line: number; lines: number }> = []
  const globals: Array<{ line: number; name: string }> = []
  const lineOf = (at: number) => file.getLineAndCharacterOfPosition(at).line + 1
  const visit = (node: ast.Node): void => {
    const imported = importOf(node)
    if (imported !== undefined) {
      imports.push({ ...imported, target: targetOf(root, file.fileName, imported.specifier) })
    }
    exports.push(...exportsOf(node))
    const line = lineOf(node.getStart(file))
    if (isFunction(node)) functions.push({ line, lines: lineOf(node.end) - line + 1 })
    const name = globalOf(node)
    if (name !== undefined) globals.push({ line, name })
    node.forEachChild(visit)
  }
  visit(file)
  const lines = file.text.split("\n").length - (file.text.endsWith("\n") ? 1 : 0)
  return { file: fromRoot(root, file.fileName), lines, imports, exports, functions, globals }
}

const targetOf = (root: string, from: string, specifier: string): string | undefined => {
  if (!specifier.startsWith(".")) return undefined
  const name = path.resolve(path.dirname(from), specifier).replace(/\.js$/, ".ts")
  return fs.existsSync(name) ? fromRoot(root, name) : undefined
}

const textOf = (node: ast.Node | undefined): string | undefined =>
  node !== undefined && ast.isStringLiteral(node) ? node.text : undefined

const importOf = (node: ast.Node): Omit<Import, "target"> | undefined => {
  if (ast.isImportDeclaration(node)) {
    const { importClause } = node
    const bindings = importClause?.namedBindings
    const named =
      bindings === undefined
        ? []
        : ast.isNamedImports(bindings)
          ? bindings.elements.map((element) => (element.propertyName ?? element.name).text)
          : ["*"]
    return {
      specifier: textOf(node.moduleSpecifier)!,
      typeOnly: importClause?.phaseModifier === ast.SyntaxKind.TypeKeyword,
      names: importClause?.name === undefined ? named : ["default", ...named]
    }
  }
  if (ast.isExportDeclaration(node) && node.moduleSpecifier !== undefined) {
    return { specifier: textOf(node.moduleSpecifier)!, typeOnly: node.isTypeOnly, names: ["*"] }
  }
  if (ast.isCallExpression(node) && node.expression.kind === ast.SyntaxKind.ImportKeyword) {
    const specifier = textOf(node.arguments[0])
    return specifier === undefined ? undefined : { specifier, typeOnly: false, names: ["*"] }
  }
  if (ast.isImportTypeNode(node) && ast.isLiteralTypeNode(node.argument)) {
    const specifier = textOf(node.argument.literal)
    return specifier === undefined ? undefined : { specifier, typeOnly: true, names: ["*"] }
  }
  return undefined
}

const declares = (declared: { readonly modifiers?: ReadonlyArray<ast.Node> | undefined }) =>
  declared.modifiers?.some((modifier) => modifier.kind === ast.SyntaxKind.ExportKeyword) === true

/** The names that a statement of the file exports by declaring them. */
const exportsOf = (node: ast.Node): ReadonlyArray<string> => {
  if (ast.isVariableStatement(node) && declares(node)) {
    return node.declarationList.declarations.flatMap(({ name }) =>
      ast.isIdentifier(name) ? [name.text] : []
    )
  }
  if (
    (ast.isFunctionDeclaration(node) ||
      ast.isClassDeclaration(node) ||
      ast.isInterfaceDeclaration(node) ||
      ast.isTypeAliasDeclaration(node)) &&
    declares(node)
  ) {
    return node.name === undefined ? ["default"] : [node.name.text]
  }
  return []
}

const isFunction = (node: ast.Node): boolean =>
  ast.isFunctionDeclaration(node) ||
  ast.isFunctionExpression(node) ||
  ast.isArrowFunction(node) ||
  ast.isMethodDeclaration(node) ||
  ast.isConstructorDeclaration(node) ||
  ast.isGetAccessorDeclaration(node) ||
  ast.isSetAccessorDeclaration(node)

const globalOf = (node: ast.Node): string | undefined => {
  if (ast.isNewExpression(node) && ast.isIdentifier(node.expression)) {
    return `new ${node.expression.text}(${node.arguments === undefined || node.arguments.length === 0 ? "" : "..."})`
  }
  if (ast.isCallExpression(node) && ast.isIdentifier(node.expression)) return node.expression.text
  if (!ast.isPropertyAccessExpression(node)) return undefined
  const owner = node.expression
  // `globalThis.x.y` is `x.y`.
  const name = ast.isIdentifier(owner)
    ? owner.text
    : ast.isPropertyAccessExpression(owner) && ast.isIdentifier(owner.expression)
      ? owner.name.text
      : undefined
  return name === undefined ? undefined : `${name}.${node.name.text}`
}
