// Presses random keys in crsio's part for the server. No key may cause an exception, every screen must be complete, no control character
// may reach the screen, and rssrv must accept the file at any time. rssrv answers, refuses or is not running.

import { parseRssrvConfig } from '@rsio/common/config/reader/rssrvcfg';
import { RsError } from '@rsio/base/lib/errors';
import { client, pool, removedVolume, volume } from '@rsio/api/testing/server-views';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { answers, ServerWalker, type ServerWorld } from '../testing/server-walker.ts';
import type { KeyName } from '../widgets/keys.ts';
import { textWidth } from '../widgets/text-width.ts';

const KEYS: readonly KeyName[] = [
  ...(['up', 'down', 'left', 'right', 'home', 'end', 'pageup', 'pagedown', 'tab', 'backtab', 'backspace', 'delete'] as const),
  ...(['cut-before', 'cut-after', 'cut-word', 'help', 'show', 'save', 'choose', 'action', 'remove', 'leave', 'escape'] as const),
];
/** Keys that open something are pressed more often. */
const input = fc.oneof(
  { weight: 6, arbitrary: fc.constantFrom<KeyName>('enter', 'down') },
  { weight: 4, arbitrary: fc.constantFrom(...KEYS) },
  { weight: 2, arbitrary: fc.constantFrom(' ', 'db', '20g', 'mars', '10.0.0.7', '/srv/x', '日本').map((text) => ({ text })) },
  { weight: 1, arbitrary: fc.string({ unit: 'binary', maxLength: 5 }).map((text) => ({ text })) },
);

const WELL = answers({
  'pool-list': () => ({ pools: [pool({ findings: ['file x\u001b[2J'] })] }),
  'pool-make': () => ({ isNew: true, volumes: 0 }),
  'pool-check': () => ({ pool: pool() }),
  'client-list': () => ({ clients: [client(), client({ name: '名\u202e', state: 'silent', keys: 2 })] }),
  'volume-list': () => ({ volumes: [volume(), volume({ name: '\n', state: 'unavailable', reason: '日本' })], removed: [removedVolume()] }),
  'volume-create': ({ name }) => ({ volume: volume({ name }) }),
  'volume-set': () => ({ volume: volume() }),
  'volume-grow': () => {
    throw new RsError('E_SPACE', 'Pool fast is full: asked 20g, free 1g');
  },
  'volume-remove': () => ({ removed: removedVolume() }),
  'volume-restore': () => ({ volume: volume() }),
});

test('random keys throw nothing, keep the screen complete, and leave a file that rssrv accepts', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(input, { minLength: 20, maxLength: 60 }),
      fc.constantFrom<ServerWorld['daemon']>(WELL, null, 'silent'),
      async (inputs, daemon) => {
        const walker = await ServerWalker.start({ daemon });
        for (const each of inputs) {
          await walker.press(each);
          const lines = walker.screen().split('\n');
          expect(lines).toHaveLength(24);
          expect(Math.max(...lines.map(textWidth))).toBeLessThanOrEqual(80);
          expect(lines.join('')).not.toMatch(/[\p{Cc}\u202e]/u);
        }
        parseRssrvConfig(walker.file(), 'rssrvcfg');
      },
    ),
    { numRuns: 30 },
  );
});
