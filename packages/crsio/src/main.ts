// crsio: the curses tool that edits /etc/rscltcfg. This version has only its name and its help: it says so and ends.
// Leaves options and error lines to the frame all programs share.

import { runProgram } from '@rsio/protocol/lib/arguments';
import { RsError } from '@rsio/protocol/lib/errors';

const HELP = `usage: crsio [--root DIR]

Edits /etc/rscltcfg in a terminal, and finds namespaces and servers for it.
The curses tool is not in this version: edit the file with an editor, see rscltcfg(5).

`;

runProgram({ name: 'crsio', help: HELP, options: {}, positionals: false }, () => {
  throw new RsError('E_NOT_BUILT', 'The curses tool is not in this version: edit /etc/rscltcfg with an editor and run rsiod');
});
