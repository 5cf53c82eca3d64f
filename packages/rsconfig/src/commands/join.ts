// Defines `join`, which makes this machine a client. The work is done in join/join.ts, which is loaded when the command runs. Invariant: each
// key can be given as a file or on stdin, and is then not visible in the list of processes.

import { WAIT_OPTION } from '@rsio/common/cli/command';
import { defineCommand } from '../cli/context.ts';
import { INTERFACE_OPTION } from '../cli/hosts.ts';
import { keyFileOption, keyOption } from '../cli/key-input.ts';

export const JOIN = defineCommand({
  call: { by: 'words', words: 'join' },
  synopsis: `join HOST[:PORT] --name N --key-file F|- [--id N]
[--interface ADDRESS...] [--namespacekey-file F]
[--serverkey-file F] [--tls] [--label L] [--no-start]`,
  summary: 'makes this machine a client of the servers at HOST',
  details: `Asks HOST for its namespace and interfaces, and logs in over every matching pair
of interfaces. Writes the working pairs to rscltcfg, starts rsiod or makes a
running rsiod reload rscltcfg, and shows the paths. For each address that cannot
be used, shows the reason. Keeps the existing entries of rscltcfg. If rscltcfg
already has the namespace, the command adds only the missing entries. A server
that has moved keeps its entry, which gets the new address. If HOST does not
answer because its rssrvcfg has explore = no, give the number of the namespace
with --id. With --tls, or if a server demands it, all paths of the namespace are
encrypted, and rscltcfg gets tls = on. With --wait, join waits longer for the
new paths to come up in rsiod.`,
  options: {
    name: { kind: 'text', value: 'N', help: 'name of this machine, listed under [clients] on the servers' },
    key: keyOption('key of this machine, listed under [clients] on the servers'),
    'key-file': keyFileOption('key of this machine, listed under [clients] on the servers'),
    id: { kind: 'text', value: 'N', help: 'number of the namespace' },
    interface: INTERFACE_OPTION,
    namespacekey: keyOption('key that signs exploration messages'),
    'namespacekey-file': keyFileOption('key that signs exploration messages'),
    serverkey: keyOption('key by which the server proves its identity'),
    'serverkey-file': keyFileOption('key by which the server proves its identity'),
    tls: { kind: 'flag', help: 'encrypt the paths, and use no server that does not encrypt' },
    label: { kind: 'text', value: 'L', help: 'name of the namespace in rscltcfg' },
    'no-start': { kind: 'flag', help: 'write rscltcfg, but do not start rsiod' },
    wait: WAIT_OPTION,
  },
  operands: { min: 1, max: 1 },
  run: async (context, options, [host = '']) => {
    // Only this command loads join/join.ts and the protocol modules that it imports.
    const { join } = await import('../join/join.ts');
    return join(context, options, host);
  },
});
