// A fresh clone has no node_modules. Tests that the scripts of package.json load only their own modules and those of Node before the
// installation. Also tests that the packages contain what each kind of machine needs.

import { readdirSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { PRODUCTS } from './packages/contents.mjs';
import { ROOT } from './prepare.mjs';

const { scripts } = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8'));
/** The scripts that run without tsx. A command line with tsx needs an installed checkout. */
const FIRST = Object.values(scripts).flatMap((command) => /^node (scripts\/\S+\.mjs)/.exec(command)?.slice(1) ?? []);

/** Modules that are loaded before the first line of `file` runs. */
function loadedBy(file, seen = new Set()) {
  if (seen.has(file)) return [];
  seen.add(file);
  const text = readFileSync(file, 'utf8');
  return [...text.matchAll(/^(?:import|export) (?:[^'"]*? from )?'([^']+)';/gm)].flatMap(([, name]) =>
    name.startsWith('.') ? loadedBy(join(dirname(file), name), seen) : [name],
  );
}

test.each([...new Set(FIRST)])('%s begins without installed modules', (script) => {
  expect(loadedBy(join(ROOT, script)).filter((name) => !name.startsWith('node:'))).toEqual([]);
});

describe.each(['rsio-server', 'rsio-client'])('a machine with %s', (name) => {
  const all = [name, ...PRODUCTS[name].beside].map((one) => PRODUCTS[one]);

  test('has crsio, rsio(7), the guide, the guarantees and the examples', () => {
    expect(all.flatMap(({ programs }) => Object.keys(programs))).toContain('crsio');
    expect(all.flatMap(({ pages }) => pages)).toEqual(expect.arrayContaining(['crsio.8', 'rsio.7']));
    const places = all.flatMap(({ files, scripts: programs }) => [...Object.values(files), ...Object.values(programs)]).join('\n');
    for (const part of ['/OPERATING.md', '/GUARANTEES.md', '/examples/trigger-mail']) expect(places).toContain(part);
  });
});

test('no two packages have the same program, page or file', () => {
  const all = Object.values(PRODUCTS);
  const places = all.flatMap((one) => [Object.keys(one.programs), one.pages, Object.values(one.files), Object.values(one.scripts)].flat());
  expect(places.length).toBe(new Set(places).size);
});

test.each(['rsio-server', 'rsio-web'])('a purge of %s removes the user that its installation has made', (name) => {
  const text = (script) => readFileSync(join(ROOT, 'packaging/deb', name, script), 'utf8');
  const [, user] = /adduser --system .* (\S+)$/m.exec(text('postinst'));
  expect(text('postrm')).toContain(`deluser --quiet --system ${user} `);
  // The scripts of rsio-common must not remove the user of another package, or files of that user.
  for (const script of readdirSync(join(ROOT, 'packaging/deb/rsio-common')))
    expect(readFileSync(join(ROOT, 'packaging/deb/rsio-common', script), 'utf8')).not.toMatch(/user|etc|var/);
});
