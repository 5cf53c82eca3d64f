// Presses random keys: nothing may throw, the screen must stay complete, and the file that would be saved must be one that the reader
// accepts. The world has a server, a changing file and a running rsiod.

import fc from 'fast-check';
import { printIni } from '@rsio/common/config/ini/ini-document';
import { parseRscltConfig } from '@rsio/common/config/reader/rscltcfg';
import { expect, test } from 'vitest';
import { textWidth } from '../widgets/text-width.ts';
import { examination, foundServer, probeReport } from '../testing/found-servers.ts';
import { anyInput } from '../testing/screen-walker.ts';
import { Walker } from '../testing/walker.ts';

const input = anyInput(['osl', '192.168.45.20', '200', 'x', '日本']);

test('random keys throw nothing, keep the screen complete, and leave a valid document', { timeout: 180_000 }, async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(input, { minLength: 20, maxLength: 80 }), fc.boolean(), async (inputs, isRunning) => {
      const walker = new Walker({
        servers: [foundServer('192.168.45.10')],
        daemon: isRunning ? { reload: () => ({ applied: [] }) } : null,
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
