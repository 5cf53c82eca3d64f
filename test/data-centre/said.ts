// Compares the output of a client's command, character by character, with a text that has placeholders for values that differ from run to
// run: {A.10} is an address, {osl} the port of a namespace, {id big-9:oracle} the id of a volume, {nbd osl/oracle} a URI. Times, instances,
// path numbers and round trips are masked by expected.ts; the address of a holder is shown as OWN.

import { strictEqual } from 'node:assert/strict';
import type { DataCentre } from './data-centre.ts';
import { masked } from './expected.ts';
import type { SiteClient } from './site.ts';

interface Said {
  readonly stdout?: string;
  readonly stderr?: string;
  readonly code?: number;
}

/** Runs a command of a client and compares its whole output. By default, stdout and stderr must be empty, and the exit code must be 0. */
export async function says(
  centre: DataCentre,
  client: SiteClient,
  args: string,
  { stdout = '', stderr = '', code = 0 }: Said,
): Promise<void> {
  const result = await centre.host(client).rsconfig(...args.split(' '));
  const what = `rsconfig ${args} of ${client.name}`;
  const fill = (text: string): string => filled(centre, client, text);
  // From time to time, rsiod tries to connect to an absent server. For a moment, the remark then says `is connecting` in place of
  // `is down`.
  const remarks = masked(result.stderr).replaceAll(' is connecting: see ', ' is down: see ');
  strictEqual(remarks, fill(stderr), `${what}, stderr`);
  strictEqual(withoutHolders(centre, masked(result.stdout)), fill(stdout), what);
  strictEqual(result.code, code, `${what}, exit code`);
}

export function filled(centre: DataCentre, client: SiteClient, text: string): string {
  const { ids, servers } = centre.site;
  return text
    .replace(/\{([AB])\.(\d+)\}/g, (_, subnet: string, host: string) => centre.address(subnet === 'A' ? 0 : 1, Number(host)))
    .replaceAll('{osl}', String(servers.big9.namespace.port))
    .replaceAll('{dev}', String(servers.mini1.namespace.port))
    .replace(/\{id ([^}]+)\}/g, (_, key: string) => ids[key] ?? key)
    .replace(/\{nbd ([^}]+)\}/g, (_, name: string) => centre.host(client).nbdUri(name));
}

/** Replaces addresses of holders. The server shows the address of a holder's first path, which may be any address of the client. */
export function withoutHolders(centre: DataCentre, text: string): string {
  return centre.clients.reduce(
    (rest, { interfaces, logins }) =>
      interfaces.reduce(
        (left, { address }) =>
          logins.reduce((one, { node }) => one.replaceAll(`holder: ${node} ${address} `, `holder: ${node} OWN `), left),
        rest,
      ),
    text,
  );
}
