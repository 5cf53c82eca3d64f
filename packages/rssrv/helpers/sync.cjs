// Syncs the storage behind descriptor 3, for volumes/storage-syncs.ts. On failure it prints the errno's name and exits with 1. The parent
// process stops waiting after a time limit, and handles failures.
const { fdatasyncSync } = require('node:fs');

try {
  fdatasyncSync(3);
} catch (error) {
  process.stdout.write(error.code ?? 'EIO');
  process.exitCode = 1;
}
