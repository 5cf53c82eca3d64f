// Loaded into a daemon before it starts (`node --import`). After a first SIGUSR2, the probe records the garbage collections of the process.
// A second SIGUSR2 makes the probe write the records to RSIO_HEAP_NOTES/PID.json. The probe changes nothing else. noted-heap.ts gives the
// signals.

import { renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { GCProfiler, getHeapStatistics } from 'node:v8';
import type { HeapHistory } from './heap-history.ts';

const folder = process.env['RSIO_HEAP_NOTES'] ?? '';
let under: { readonly profiler: GCProfiler; readonly beginUsedBytes: number } | null = null;

function begin(): void {
  const profiler = new GCProfiler();
  profiler.start();
  under = { profiler, beginUsedBytes: getHeapStatistics().used_heap_size };
}

function end({ profiler, beginUsedBytes }: NonNullable<typeof under>): HeapHistory {
  const endUsedBytes = getHeapStatistics().used_heap_size;
  const { statistics } = profiler.stop() ?? { statistics: [] };
  const collections = statistics.map(({ beforeGC, afterGC, cost }) => ({
    beforeBytes: beforeGC.heapStatistics.usedHeapSize,
    afterBytes: afterGC.heapStatistics.usedHeapSize,
    pauseUs: cost,
  }));
  return { beginUsedBytes, endUsedBytes, collections };
}

process.on('SIGUSR2', () => {
  if (under === null) {
    begin();
    return;
  }
  const history = end(under);
  under = null;
  const file = join(folder, `${process.pid}.json`);
  // Renames the complete file, so that a reader never sees an incomplete file.
  writeFileSync(`${file}.new`, JSON.stringify(history));
  renameSync(`${file}.new`, file);
});
