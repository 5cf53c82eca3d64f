// Tests, with a fake mirror, the command that grows a mirror: refusals before any server is asked, errors if a server refuses or is
// unreachable, and a repeated command. mirror-driver.test.ts and test/integration/mirror.test.ts test the growth.

import { beforeEach, expect, test } from 'vitest';
import { type GrowingMirror, growMirror } from './growth.ts';

const GIB = 1024 ** 3;
const asked: number[] = [];

beforeEach(() => asked.splice(0));

function mirror(answer: string | null, volume: GrowingMirror['io']['volume'] = { sizeBytes: GIB, blockSizeBytes: 4_096 }): GrowingMirror {
  const grow = (sizeBytes: number): Promise<string | null> => {
    asked.push(sizeBytes);
    return Promise.resolve(answer);
  };
  return { grow, view: { waitsFor: 'Waits until the replica on big-8 has grown' } as GrowingMirror['view'], io: { volume } };
}

test('the size before is returned when the mirror has grown', async () => {
  expect([await growMirror('osl:db@0', mirror(''), 2 * GIB), asked]).toEqual([GIB, [2 * GIB]]);
});

test.each([
  ['a smaller size', mirror(''), GIB / 2, 'E_VOLUME', /has 1g, and 512m is not more/],
  ['part of a block', mirror(''), GIB + 512, 'E_USAGE', /no multiple of the block size 4096/],
  ['a mirror that takes no I/O yet', mirror('', null), 2 * GIB, 'E_VOLUME', /takes no I\/O yet/],
])('%s is refused, and no server is asked', async (_, one, sizeBytes, code, message) => {
  await expect(growMirror('osl:db@0', one, sizeBytes)).rejects.toMatchObject({ code, message: expect.stringMatching(message) as string });
  expect(asked).toEqual([]);
});

test('a command that is sent again after the growth changes nothing', async () => {
  expect([await growMirror('osl:db@0', mirror('no'), GIB), asked]).toEqual([GIB, []]);
});

test('a refusal says that nothing has changed, and a server that is away is named', async () => {
  const full = growMirror('osl:db@0', mirror('Server big-8: Pool fast has no room'), 2 * GIB);
  await expect(full).rejects.toMatchObject({
    code: 'E_VOLUME',
    message: 'Mirror osl:db@0 was not grown: Server big-8: Pool fast has no room; its users see no change, and the command can be repeated',
  });
  const away = growMirror('osl:db@0', mirror(null), 2 * GIB);
  await expect(away).rejects.toMatchObject({
    code: 'E_TIMEOUT',
    message: expect.stringMatching(/not grown within 2m.*: Waits until the replica on big-8 has grown; the same command waits/) as string,
  });
});
