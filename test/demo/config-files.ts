// The two configuration files of the demo, as an administrator would write them. This file makes only the texts; the demo writes the files.
// Both daemons can share one root, because their files have different names.

import type { FileSystem } from './devices/file-systems.ts';
import type { DemoAddresses } from './addresses.ts';

export const NAMESPACE = 'osl';
/** DOCS: name of the volume that serves the demo's image file. SCRATCH: name of the volume for writes. */
export const DOCS = 'docs';
export const SCRATCH = 'scratch';

const NODE = 'big-2';
const KEY = '0xbig2-for-the-demo-only';

export interface VolumeFiles {
  readonly docs: string;
  readonly scratch: string;
  /** The file systems that the demo makes on block devices. Each entry also has the file of the volume on the server. */
  readonly disks: readonly (readonly [FileSystem, file: string])[];
}

export function serverConfig({ port, server }: DemoAddresses, files: VolumeFiles): string {
  return `[namespace ${NAMESPACE}]
namespaceid = 200
protocol    = tcp
port        = ${port}

[server big-9]
serverid = 1

[interface if1]
address     = ${server[0]}

[interface if2]
address     = ${server[1]}

[volume ${DOCS}]
path        = ${files.docs}

[volume ${SCRATCH}]
path        = ${files.scratch}
size        = 64m
${files.disks.map(([{ volume, sizeMib }, file]) => diskOfServer(volume, file, sizeMib)).join('')}
[clients]
${NODE} ${KEY}
`;
}

function diskOfServer(volume: string, file: string, sizeMib: number): string {
  return `
[volume ${volume}]
path        = ${file}
size        = ${sizeMib}m
`;
}

/** `disks`: volumes that become block devices. */
export function clientConfig({ port, client, server, cable }: DemoAddresses, disks: readonly FileSystem[]): string {
  return `[defaults]
protocol      = tcp
port          = ${port}
# No path to the addresses that the server announces: it would bypass the cable
paths         = configured

[interface if0]
address       = ${client[0]}

[interface if1]
address       = ${client[1]}

[namespace ${NAMESPACE}]
namespaceid   = 200
nodename      = ${NODE}
nodekey       = ${KEY}

[server big-9-1]
address       = ${server[0]}

# The demo's cable: a relay to ${server[1]} that can be cut
[server big-9-2]
address       = ${cable}
${disks.map(({ volume }) => `\n[volume ${volume}]\ndevice        = block\n`).join('')}`;
}
