// Adds the results of a search for servers to the file: one [server] section for each usable interface of a server. A section is named
// SERVER-N, where N is the interface's position in the server's list. If that name is taken, N is the next free number. Pure. Existing
// sections do not change. Invariant: every interface of every server has an outcome: the name of its section, or the reasons why it has no
// section.

import type { IniDocument } from '@rsio/common/config/reader/ini-document';
import { targetPort } from '@rsio/common/config/reader/rscltcfg';
import { addServer } from '@rsio/common/config/rscltcfg-edit';
import type { ClientNamespaceConfig, RscltConfig } from '@rsio/common/config/schema/types';
import type { OfferedInterface } from '@rsio/protocol/explorer/discovery-datagram';
import type { FoundServer } from '@rsio/protocol/explorer/exploration';
import type { Examination, ProbeReport } from '@rsio/protocol/explorer/probe-report';
import { addressKey } from '@rsio/base/lib/subnet';
import { NAME_MAX_BYTES } from '@rsio/base/lib/limits';
import { reportSentence } from '../model/report-text.ts';
import type { ServerOutcome } from '../model/state.ts';

export interface SearchedServer {
  readonly server: FoundServer;
  readonly examination: Examination;
}

export interface ServerEdits {
  readonly document: IniDocument;
  readonly outcomes: readonly ServerOutcome[];
}

export function addServers(document: IniDocument, config: RscltConfig, namespace: string, found: readonly SearchedServer[]): ServerEdits {
  const home = config.namespaces.find(({ name }) => name === namespace);
  if (home === undefined) return { document, outcomes: [] };
  let edits: ServerEdits = { document, outcomes: [] };
  const names = new Set(home.servers.map(({ name }) => name));
  for (const searched of found) {
    for (const [index, offered] of searched.server.interfaces.entries()) {
      const sentences = sentencesOf(searched, offered);
      const base = { server: searched.server.server, address: offered.address, sentences };
      const section = home.servers.find(({ address }) => addressKey(address) === addressKey(offered.address))?.name;
      if (section !== undefined || !isUsable(searched, offered)) {
        edits = { ...edits, outcomes: [...edits.outcomes, { ...base, section: section ?? null, isNew: false }] };
        continue;
      }
      const name = freeName(searched.server.server, index + 1, names);
      names.add(name);
      const keys = { address: offered.address, ...portKey(config, home, offered) };
      edits = {
        document: addServer(edits.document, namespace, name, keys),
        outcomes: [...edits.outcomes, { ...base, section: name, isNew: true }],
      };
    }
  }
  return edits;
}

function reportsOf({ examination }: SearchedServer, { address }: OfferedInterface): readonly ProbeReport[] {
  return examination.reports.filter(({ candidate }) => addressKey(candidate.remote.address) === addressKey(address));
}

function isUsable(searched: SearchedServer, offered: OfferedInterface): boolean {
  return reportsOf(searched, offered).some(({ failure }) => failure === null);
}

function sentencesOf(searched: SearchedServer, offered: OfferedInterface): string[] {
  const reasons = searched.examination.leftOut.filter(
    ({ remote }) => remote !== null && addressKey(remote.address) === addressKey(offered.address),
  );
  return [...reportsOf(searched, offered).map(reportSentence), ...reasons.map(({ reason }) => reason)];
}

/** Returns the key `port` for the section, unless every client interface uses that port by default. */
function portKey(config: RscltConfig, namespace: ClientNamespaceConfig, { port }: OfferedInterface): { readonly port?: string } {
  const ports = config.interfaces.map((local) => targetPort(config, namespace, { port: null }, local));
  return ports.every((each) => each === port) ? {} : { port: String(port) };
}

function freeName(server: string, number: number, taken: ReadonlySet<string>): string {
  let candidate = number;
  for (;;) {
    const ending = `-${candidate}`;
    const name = server.slice(0, NAME_MAX_BYTES - ending.length) + ending;
    if (!taken.has(name)) return name;
    candidate += 1;
  }
}
