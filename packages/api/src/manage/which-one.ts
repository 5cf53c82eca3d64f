// A table for choosing the command that copies, keeps or restores the content of a volume. `--help` of the volume commands shows this
// table, and docs/OPERATING.md has the same table. Invariant: no line exceeds 80 columns.

export const WHICH_ONE: readonly string[] = [
  'Which one do I want?',
  '  go back to a moment               volume snapshot, volume rollback',
  '  a second volume at once           volume snapshot, volume clone: in the same',
  '                                    pool, shares its blocks',
  '  a second one, refreshed later     volume image: related, in another universe',
  '  a second one that shares nothing  volume copy: in any pool, or on the server',
  '                                    as a file',
  '  a file elsewhere, incremental     rsconfig backup: on the client',
  '  a volume of a file or device      rsadm volume import: on the server',
  '  a removed volume again            volume restore NAME',
  '  what the image has                volume restore NAME --from N',
  '  what a backup has                 rsconfig restore FILE NAME',
];
