// Tests that the documents of the packages have no dead links where they are installed: neither to a file that the package lacks, nor to a
// heading that the document lacks. The whole packages are tested in test/packaging/packages.test.ts.

import { existsSync, readFileSync } from 'node:fs';
import { join, posix } from 'node:path';
import { expect, test } from 'vitest';
import { ROOT } from '../prepare.mjs';
import { PRODUCTS } from './contents.mjs';
import { installedText } from './installed-text.mjs';

const DOCUMENTS = Object.values(PRODUCTS).flatMap(({ files }) =>
  Object.keys(files)
    .filter((source) => source.endsWith('.md'))
    .map((source) => ({ source, files })),
);

test('links lead to installed documents, or become text', () => {
  const files = { 'docs/A.md': 'usr/share/doc/x/A.md', 'docs/B.md': 'usr/share/doc/x/B.md' };
  const text = 'See [b](B.md#part), [c](adr/C.md), [here](#a), [web](https://b.example) and ![a picture](screens/p.png).';
  expect(installedText(text, 'docs/A.md', files)).toBe(
    'See [b](B.md#part), c (docs/adr/C.md of the sources), [here](#a), [web](https://b.example) and *a picture: docs/screens/p.png of the sources*.',
  );
});

/** The anchors of the headings of a document, as readers of markdown make them. */
function anchorsOf(text) {
  const headings = text.split('\n').flatMap((line) => /^#+ (.*)$/.exec(line)?.[1] ?? []);
  return headings.map((heading) =>
    heading
      .toLowerCase()
      .replaceAll(/[^\w\- ]/g, '')
      .replaceAll(' ', '-'),
  );
}

test.each(DOCUMENTS)('$source has no dead link where it is installed', ({ source, files }) => {
  const read = (file) => readFileSync(join(ROOT, file), 'utf8');
  const text = installedText(read(source), source, files);
  const sources = new Map(Object.entries(files).map(([from, place]) => [place, from]));
  const dead = [...text.matchAll(/\]\(([^)\s]+)\)/g)].flatMap(([, target]) => {
    if (/^[a-z]+:/.test(target)) return [];
    const [file, anchor] = target.split('#');
    const from = file === '' ? source : sources.get(posix.join(posix.dirname(files[source]), file));
    return from !== undefined && (anchor === undefined || anchorsOf(read(from)).includes(anchor)) ? [] : [target];
  });
  expect(dead).toEqual([]);
  // What became text names files that exist.
  for (const [, file] of text.matchAll(/\(?(docs\/\S+|packaging\/\S+) of the sources/g))
    expect(existsSync(join(ROOT, file)), file).toBe(true);
});
