// What the command line, the help and the JSON of `support` are, in rsadm and rsconfig. support-run.ts executes the command, and is loaded
// only for it.

import { JSON_OPTION } from '@rsio/common/cli/command';
import { count, list, object, orNull, text } from '@rsio/base/lib/shape';

/** File in the archive that lists the others. */
export const CONTENTS_FILE = 'CONTENTS.txt';

export const SUPPORT_COMMAND = {
  call: { by: 'words', words: 'support' },
  synopsis: 'support [--list] [--to DIR]',
  summary: 'makes an archive for somebody who helps',
  details: `First lists what goes into the archive, and then makes it in DIR, or in the
working directory: versions, configuration, states, events, logs, metrics and
figures of the machine. Keys, passwords and tokens of RSIO are left out. Names
of volumes, machines and users, and addresses, are in it. A part that cannot be
had says why. The command changes nothing, and the daemon need not run.`,
  options: {
    list: { kind: 'flag', help: 'only list what goes into the archive' },
    to: { kind: 'text', value: 'DIR', help: 'folder for the archive' },
    json: JSON_OPTION,
  },
  json: object({
    path: orNull(text(), 'The archive; null: it was not made'),
    sizeBytes: orNull(count()),
    parts: list(
      object({ file: text(), about: text(), sizeBytes: orNull(count()), trouble: orNull(text(), 'Why it is missing or not whole') }),
      `The files in the archive, beside ${CONTENTS_FILE}`,
    ),
  }),
  operands: { min: 0, max: 0 },
} as const;
