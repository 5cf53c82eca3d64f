// Tests the limit on the length of socket paths. Node would silently cut a longer path and listen elsewhere. control.test.ts tests requests
// over a socket.

import { describe, expect, test } from 'vitest';
import { RsError } from '../lib/errors.ts';
import { checkSocketPath } from './unix-socket.ts';

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
      expect(thrown.message).toBe(
        `Socket path ${path} has ${lengthBytes} bytes, more than the 107 the system takes: choose a shorter --root`,
      );
      expect(thrown.context).toEqual({ path, bytes: lengthBytes });
      return;
    }
    throw new Error('Nothing was refused');
  });
});
