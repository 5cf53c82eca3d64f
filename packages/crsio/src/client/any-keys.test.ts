// Presses random keys. No key may cause an exception, the screen must stay complete, and the configuration reader must accept the file that
// crsio would save. rsiod and rsapp are running in half of the runs.

import fc from 'fast-check';
import type { ApplicationsView } from '@rsio/api/rsapp/app-methods';
import { printIni } from '@rsio/common/config/reader/ini-document';
import { parseRscltConfig } from '@rsio/common/config/reader/rscltcfg';
import { expect, test } from 'vitest';
import { textWidth } from '../widgets/text-width.ts';
import { examination, foundServer, probeReport } from '../testing/found-servers.ts';
import { Walker } from '../testing/walker.ts';
import type { KeyName } from '../widgets/keys.ts';

const KEYS: readonly KeyName[] = [
  ...(['up', 'down', 'left', 'right', 'home', 'end', 'pageup', 'pagedown', 'tab', 'backtab', 'backspace', 'delete'] as const),
  ...(['cut-before', 'cut-after', 'cut-word', 'help', 'show', 'save', 'choose', 'action', 'remove', 'leave', 'escape'] as const),
];
const APPLICATIONS: ApplicationsView = {
  node: 'big-2',
  drained: true,
  applications: [
    {
      name: 'pg',
      state: 'running',
      on: 'big-2',
      sinceMs: 0,
      volumes: ['db'],
      nodes: ['big-2', 'big-6'],
      next: null,
      why: 'x'.repeat(99),
      failed: true,
      remains: true,
    },
  ],
};
/** Keys that open something are pressed more often. */
const input = fc.oneof(
  { weight: 6, arbitrary: fc.constantFrom<KeyName>('enter', 'down') },
  { weight: 4, arbitrary: fc.constantFrom(...KEYS) },
  { weight: 2, arbitrary: fc.constantFrom('osl', '192.168.45.20', '200', 'x', '日本').map((text) => ({ text })) },
  { weight: 1, arbitrary: fc.string({ unit: 'binary', maxLength: 5 }).map((text) => ({ text })) },
);

test('random keys throw nothing, keep the screen complete, and leave a valid document', async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(input, { minLength: 20, maxLength: 80 }), fc.boolean(), async (inputs, isRunning) => {
      const walker = new Walker({
        servers: [foundServer('192.168.45.10')],
        daemon: isRunning ? { reload: () => ({ applied: [] }) } : null,
        apps: isRunning ? { reload: () => ({ applied: [] }), applications: () => APPLICATIONS } : null,
      });
      walker.world.examine = () => examination(probeReport('if0', '192.168.45.10'));
      for (const each of inputs) {
        await walker.press(each);
        const lines = walker.screen().split('\n');
        expect(lines).toHaveLength(24);
        expect(Math.max(...lines.map(textWidth))).toBeLessThanOrEqual(80);
      }
      parseRscltConfig(printIni(walker.state.document), 'rscltcfg');
      if (walker.world.file !== null) parseRscltConfig(walker.world.file, 'rscltcfg');
    }),
    { numRuns: 40 },
  );
});
