// Loads proto/csi.proto, from which the library makes the codecs of all messages. Invariant: server and tests use the same options, so
// that field names are in camel case, enums are words, and numbers of 64 bits are doubles.

import { fileURLToPath } from 'node:url';
import { type PackageDefinition, loadSync } from '@grpc/proto-loader';
import type { ServiceDefinition } from '@grpc/grpc-js';
import { assert } from '@rsio/base/lib/assert';

export const SERVICES = ['Identity', 'Controller', 'GroupController', 'SnapshotMetadata', 'Node'] as const;
export type ServiceName = (typeof SERVICES)[number];

/** In a package and in a checkout, the file is in the folder `proto` of the program's package, two folders above the module. */
const FILE = new URL('../../proto/csi.proto', import.meta.url);

let loaded: PackageDefinition | null = null;

export function serviceOf(name: ServiceName): ServiceDefinition {
  loaded ??= loadSync(fileURLToPath(FILE), { longs: Number, enums: String, defaults: true, oneofs: true });
  const service = loaded[`csi.v1.${name}`];
  assert(service !== undefined && !('format' in service), `csi.proto has no service ${name}`);
  return service as ServiceDefinition;
}
