// packaging/install.sh installs programs, manual, units, log rotation and completion, and removes them again. Everything goes below a
// temporary folder.

import { mkdtempSync, readdirSync, readFileSync, realpathSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { launcher, needTool, runWell } from '../support/programs/programs.ts';

const PROJECT = fileURLToPath(new URL('../../', import.meta.url));

let folder = '';

beforeEach(() => {
  folder = mkdtempSync(path.join(tmpdir(), 'rsio-p-'));
});

afterEach(() => rmSync(folder, { recursive: true, force: true }));

it('install.sh installs everything and removes it again', async (context) => {
  needTool(context, 'bash', 'bash');
  const env = { DESTDIR: folder };
  const script = path.join(PROJECT, 'packaging/install.sh');
  await runWell(script, [], { env });
  const installed = filesBelow(folder);
  const programs = readdirSync(path.join(PROJECT, 'bin')).filter((name) => !name.includes('.'));
  for (const program of programs) expect(realpathSync(path.join(folder, 'usr/sbin', program))).toBe(realpathSync(launcher(program)));
  expect(realpathSync(path.join(folder, 'usr/sbin/fence_rsio'))).toBe(path.join(PROJECT, 'packaging/fence_rsio'));
  for (const page of readdirSync(path.join(PROJECT, 'docs/man'))) {
    const name = page.replace(/\.md$/, '');
    expect(installed).toContain(`usr/share/man/man${name.slice(-1)}/${name}`);
  }
  expect(installed).toEqual(expect.arrayContaining(['usr/lib/systemd/system/rssrv.service', 'etc/logrotate.d/rssrv']));
  const completion = path.join(folder, 'usr/share/bash-completion/completions/rsconfig');
  await runWell('bash', ['-n', completion]);
  expect(readFileSync(completion, 'utf8')).toContain('complete');
  await runWell(script, ['--remove'], { env });
  expect(filesBelow(folder)).toEqual([]);
});

function filesBelow(where: string): string[] {
  return readdirSync(where, { recursive: true, withFileTypes: true })
    .filter((entry) => !entry.isDirectory())
    .map((entry) => path.relative(where, path.join(entry.parentPath, entry.name)));
}
