// Every path below a root, written out, and the limit of socket paths.
// Nothing here touches the disk.

import { describe, expect, test } from 'vitest';
import { RsError } from '../lib/errors.ts';
import { checkSocketPath, normalizeRoot, rsiodPaths, rssrvPaths } from './root-paths.ts';

test.each(['', '/', '//', '/tmp/..'])('root %j is the real one', (root) => {
  expect(normalizeRoot(root)).toBe('');
  expect(rssrvPaths(root)).toEqual({
    root: '',
    configFile: '/etc/dvsc/rssrvcfg',
    runDir: '/run/rsio/rssrv',
    controlSocket: '/run/rsio/rssrv/control',
    pidFile: '/run/rsio/rssrv/pid',
    logDir: '/var/log/rsio',
    logFile: '/var/log/rsio/rssrv.log',
    stateDir: '/var/lib/rsio/rssrv',
    devDir: '/dev',
    volumesFile: '/var/lib/rsio/rssrv/volumes.json',
    holdersFile: '/var/lib/rsio/rssrv/holders.json',
    recordsFile: '/run/rsio/rssrv/records.json',
    memoryDir: '/dev/shm',
  });
});

test.each(['/tmp/r', '/tmp/r/', '/tmp//x/../r'])('everything of rsiod is below %j', (root) => {
  expect(rsiodPaths(root)).toEqual({
    root: '/tmp/r',
    configFile: '/tmp/r/etc/rscltcfg',
    runDir: '/tmp/r/run/rsio/rsiod',
    controlSocket: '/tmp/r/run/rsio/rsiod/control',
    pidFile: '/tmp/r/run/rsio/rsiod/pid',
    logDir: '/tmp/r/var/log/rsio',
    logFile: '/tmp/r/var/log/rsio/rsiod.log',
    stateDir: '/tmp/r/var/lib/rsio/rsiod',
    devDir: '/tmp/r/dev',
    nbdSocket: '/tmp/r/run/rsio/rsiod/nbd',
    attachedFile: '/tmp/r/run/rsio/rsiod/attached.json',
  });
});

test('A relative root is taken from the current directory', () => {
  expect(normalizeRoot('r')).toBe(`${process.cwd()}/r`);
});

describe('socket paths', () => {
  test('of 107 bytes pass', () => {
    expect(() => checkSocketPath(`/${'a'.repeat(106)}`)).not.toThrow();
  });

  test.each([`/${'a'.repeat(107)}`, `/${'ä'.repeat(54)}`])('over 107 bytes are refused with path, length and limit: %s', (path) => {
    const lengthBytes = Buffer.byteLength(path);
    try {
      checkSocketPath(path);
    } catch (thrown) {
      if (!(thrown instanceof RsError)) throw thrown;
      expect(thrown.code).toBe('E_SOCKET_PATH');
      expect(thrown.message).toBe(`Socket path ${path} has ${lengthBytes} bytes, at most 107 are possible: use a shorter --root`);
      expect(thrown.context).toEqual({ path, lengthBytes, limitBytes: 107 });
      return;
    }
    throw new Error('Nothing was refused');
  });
});
