// Syncs the storage behind the descriptors from 3 on, for volumes/storage-syncs.ts. The argument is their number. On failure it prints the
// errno's name and exits with 1, after all have been synced. The parent process stops waiting after a time limit, and handles failures.
const { fdatasync } = require('node:fs');

const count = Number(process.argv[2] ?? 1);
for (let descriptor = 3; descriptor < 3 + count; descriptor++) {
  fdatasync(descriptor, (error) => {
    if (error === null || process.exitCode === 1) return;
    process.stdout.write(error.code ?? 'EIO');
    process.exitCode = 1;
  });
}
