// Implements `mirror grow`, which grows a mirror while programs use it. rsiod grows the replicas on the servers, and then the mirror.
// Invariant: the command succeeds only when users can use the new size.

import { JSON_OPTION, type OptionSpec, printJson } from '@rsio/common/cli/command';
import { toText } from '@rsio/common/cli/table';
import { CONTROL_METHODS } from '@rsio/api/rsiod/methods';
import { volumeLabel } from '@rsio/base/lib/volume-name';
import { shownSize } from '@rsio/base/lib/units';
import { sizeOf } from '@rsio/api/views/values';
import { defineCommand, usageError } from '../../cli/context.ts';
import { namedVolume } from '../server-volumes/find.ts';

const NAMESPACE = { kind: 'text', value: 'N', help: 'use the mirror of namespace N' } as const satisfies OptionSpec;

export const MIRROR_GROW = defineCommand({
  call: { by: 'words', words: 'mirror grow' },
  synopsis: 'mirror grow NAME SIZE [--namespace N]',
  summary: 'makes an attached mirror larger, even while it is in use',
  details: `First, every server with a replica in sync makes its replica larger. Then the
mirror and its device on this machine get the new size. If a server refuses, for
example because its pool is full, the mirror keeps its size; repeat the command
when the pool has room. A replica whose server is away grows when that server
returns, before rsiod copies data to it.

The client needs the right manage in [rights] on the servers of the replicas.`,
  options: { namespace: NAMESPACE, json: JSON_OPTION },
  json: CONTROL_METHODS['mirror-grow'].result,
  operands: { min: 2, max: 2 },
  completes: `"\${ask[@]}" mirror list | tail -n +2 | cut -d' ' -f1 | sed 's/^[^:]*://'`,
  run: async (context, { namespace, json }, [written = '', size = '']) => {
    if (namespace === '') throw usageError('--namespace has an empty name: give a name');
    const named = namedVolume(written, namespace);
    const grown = await context.call('mirror-grow', { ...named, sizeBytes: sizeOf('SIZE', size, 'rsconfig') });
    if (json) printJson(context, grown);
    else context.out(toText([`${volumeLabel(grown)} now has ${shownSize(grown.sizeBytes)}`]));
  },
});
