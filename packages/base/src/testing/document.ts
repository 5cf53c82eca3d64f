// Reads the project's documents for tests that compare the documents with the code. Supports only headings, tables and code blocks of
// Markdown.

import { readFileSync } from 'node:fs';

const DOCS = new URL('../../../../docs/', import.meta.url);
const ROOT = new URL('../../../../', import.meta.url);

/** Returns the text of a document; `name` is the path below docs/. */
export function readDocument(name: string): string {
  return readFileSync(new URL(name, DOCS), 'utf8');
}

/** Returns the text of a source file; `path` is relative to the root of the project. */
export function readSource(path: string): string {
  return readFileSync(new URL(path, ROOT), 'utf8');
}

/** Returns the text between a heading (such as `### Flags`) and the next heading of any level. Throws if there is no such heading. */
function sectionOf(page: string, heading: string): string {
  const lines = page.split('\n');
  const from = lines.indexOf(heading);
  if (from < 0) throw new Error(`The page has no heading ${heading}`);
  const to = lines.findIndex((line, index) => index > from && /^#+ /.test(line));
  return lines.slice(from + 1, to < 0 ? lines.length : to).join('\n');
}

/** Returns the cells of the first table below a heading, row by row, without the header row. */
export function tableOf(page: string, heading: string): string[][] {
  const lines = sectionOf(page, heading).split('\n');
  const from = lines.findIndex((line) => line.startsWith('|'));
  const rows: string[][] = [];
  for (let at = from + 2; from >= 0 && lines[at]?.startsWith('|') === true; at++) {
    rows.push(
      lines[at]!.split('|')
        .slice(1, -1)
        .map((cell) => cell.trim()),
    );
  }
  if (rows.length === 0) throw new Error(`There is no table below ${heading}`);
  return rows;
}

/** Returns the lines of every code block below a heading. */
export function codeOf(page: string, heading: string): string[][] {
  const blocks = sectionOf(page, heading).split('```');
  return blocks.filter((_, index) => index % 2 === 1).map((block) => block.split('\n').slice(1, -1));
}
