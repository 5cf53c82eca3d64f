// What the administrator must do on a new client: its key, and the command that makes the machine a client. Pure. Invariant: the command line
// never contains the key, because ps shows command lines to every user.

import { PORT_DEFAULT } from '@rsio/common/config/schema/limits';
import type { RssrvConfig } from '@rsio/common/config/schema/types';
import { printEndpoint } from '@rsio/common/lib/units';

export function joinText({ interfaces, namespace }: Pick<RssrvConfig, 'interfaces' | 'namespace'>, name: string, key: string): string {
  const address = interfaces[0]?.address;
  const { port, explore, namespaceid } = namespace;
  const host = address === undefined ? 'ADDRESS-OF-THIS-SERVER' : printEndpoint(address, port === PORT_DEFAULT ? null : port);
  const id = explore === 'no' ? ` --id ${namespaceid}` : '';
  return [
    `Key of client ${name}, shown only here:`,
    `  ${key}`,
    `Run on ${name}, paste the key, press Enter and Ctrl-D:`,
    `  rsconfig join ${host} --name ${name}${id} --key-file -`,
  ].join('\n');
}
