// Tests printing a log from the journal: the same lines as from a file, foreign entries, and errors of journalctl. The test replaces
// journalctl with a script. test/integration/log-places.test.ts uses the real journalctl.

import { chmodSync, mkdtempSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { removeFolder } from '../testing/remove-folder.ts';
import { JournalReader } from './journal-reader.ts';

let folder: string;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'rsio-jr-'));
  vi.stubEnv('PATH', folder);
});

afterEach(async () => {
  vi.unstubAllEnvs();
  await removeFolder(folder);
});

async function printed(script: string | null, lines: number | null = null, follow = false): Promise<string> {
  if (script !== null) {
    writeFileSync(join(folder, 'journalctl'), `#!/bin/sh\n${script}\n`);
    chmodSync(join(folder, 'journalctl'), 0o755);
  }
  let text = '';
  const out = (more: string): void => {
    text += more;
  };
  await new JournalReader({ daemon: 'rssrv', root: '', lines, follow, isLocal: false, out }).run();
  return text;
}

const ENTRY = {
  MESSAGE: 'Up',
  PRIORITY: '4',
  RSIO_NODE: 's1',
  RSIO_TIME: String(Date.UTC(2010, 8, 14, 15, 2, 32)),
  RSIO_PATH: 'main',
};

test('entries are printed as lines of the log, in the zone that they name', async () => {
  const zoned = { ...ENTRY, MESSAGE: [...Buffer.from('Gr\u00fcn')], RSIO_ZONE: '+02:00' };
  expect(await printed(`echo '${JSON.stringify(ENTRY)}'; echo '${JSON.stringify(zoned)}'`)).toBe(
    's1@rsio 2010_09_14-15:02:32 (GMT) WARN (main): Up\ns1@rsio 2010_09_14-17:02:32 (+02:00) WARN (main): Gr\u00fcn\n',
  );
});

test('journalctl is asked for the entries of this daemon, from the line that -n names', async () => {
  expect(await printed('echo "$@"', 3)).toBe('-o json --all --no-pager --quiet -n 3 SYSLOG_IDENTIFIER=rssrv RSIO_ROOT=/\n');
  expect(await printed('echo "$@"', null, true)).toContain('--quiet -f --no-tail SYSLOG');
});

test('a missing journalctl, and one that fails, say what to do', async () => {
  await expect(printed(null)).rejects.toThrow(
    'The log of rssrv is in the journal, and journalctl is missing: install systemd, or set log = file and reload',
  );
  await expect(printed('echo no rights >&2; exit 1')).rejects.toThrow('journalctl cannot read the log of rssrv (no rights): run as root');
});
