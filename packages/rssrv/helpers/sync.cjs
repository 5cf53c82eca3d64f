// Syncs the storage behind descriptor 3 (volumes/storage-syncs.ts). Prints the errno's name when that fails, and ends with 1 then. Leaves its bound,
// and what a failure means, to who started it.
const { fdatasyncSync } = require('node:fs');

try {
  fdatasyncSync(3);
} catch (error) {
  process.stdout.write(error.code ?? 'EIO');
  process.exitCode = 1;
}
