// Implements the ports of the appliance's part for the real machine. Invariants: each port makes the calls of one change; the functions in
// packages/appliance decide their order; a change of rssrvcfg that rssrv cannot use is taken back.

import { readFileSync } from 'node:fs';
import { adoptArray, eraseDisk, makePool, removeArray } from '@rsio/appliance/arrays';
import { removeFailed, replaceDisk, type ServedPools } from '@rsio/appliance/arrays';
import { power, setInterface, setPassword, setTime } from '@rsio/appliance/changes';
import { lookAtAppliance } from '@rsio/appliance/look';
import { type ApplianceMachine, exclusively, runOnMachine } from '@rsio/appliance/machine';
import { onMedia } from '@rsio/appliance/media';
import { acceptConfig, presentConfig } from '@rsio/appliance/saved-config';
import { poolFolderOf } from '@rsio/appliance/system-files';
import { goBack, upgrade } from '@rsio/appliance/upgrade';
import { openConfigFile, saveConfigFile } from '@rsio/common/config/config-file';
import { examineRssrvConfig } from '@rsio/common/config/reader/rssrvcfg';
import type { RssrvPaths } from '@rsio/common/config/root-paths';
import { namespaceidOf, newRssrvcfg, removeServerSection } from '@rsio/common/config/rssrvcfg-edit';
import { callServer, type ServerCall } from '@rsio/api/rssrv/call-server';
import { replaceFile } from '@rsio/base/files/durable-write';
import { systemClock } from '@rsio/base/lib/clock';
import { RsError } from '@rsio/base/lib/errors';
import { addPoolToServer } from '@rsio/api/manage/pool-addition';
import { changeServerFile } from '@rsio/api/manage/server-file';
import type { AppliancePorts, OwnServer } from './model/state.ts';

export function systemAppliancePorts({ root, configFile, controlSocket }: RssrvPaths): AppliancePorts {
  const machine: ApplianceMachine = { root, run: runOnMachine };
  const nameOfServer = (): string | null =>
    openConfigFile(configFile).document.sections.find(({ type }) => type === 'server')?.name ?? null;
  const served = poolsOf(configFile, (method, params) => callServer(controlSocket, method, params));
  return {
    clock: systemClock,
    zones: () => zonesOf(root),
    look: async (slots) => ({ ...(await lookAtAppliance(machine, slots)), server: nameOfServer() }),
    setInterface: (wanted, dns, hostname) => setInterface(machine, wanted, dns, hostname),
    setTime: (zone, ntp) => setTime(machine, zone, ntp),
    setPassword: (password) => setPassword(machine, password),
    makeServer: (server) => makeServer(machine, configFile, server),
    makePool: (wanted, shown) => makePool(machine, wanted, shown, served),
    adoptArray: (array) => adoptArray(machine, array, served),
    removeArray: (array, typed) => removeArray(machine, array, typed, served),
    replaceDisk: (wanted, shown) => replaceDisk(machine, wanted, shown),
    removeFailed: (device) => exclusively(machine, 'settings', () => removeFailed(machine, device)),
    eraseDisk: (name, typed, shown) => eraseDisk(machine, name, typed, shown),
    save: async (to) => {
      const text = await presentConfig(root);
      await onMedia(machine, { ...to, isWritten: true }, (path) => replaceFile(path, text));
    },
    restore: (from) => onMedia(machine, { ...from, isWritten: false }, (path) => acceptConfig(root, path)),
    upgrade: async (from) => (await onMedia(machine, { ...from, isWritten: false }, (path) => upgrade(machine, path, () => {}))).version,
    goBack: async () => (await goBack(machine)).version,
    power: (what) => power(machine, what),
  };
}

function zonesOf(root: string): string[] {
  const lines = readFileSync(`${root}/usr/share/zoneinfo/tzdata.zi`, 'utf8').split('\n');
  return lines.flatMap((line) => /^Z (\w+\/\S+)/.exec(line)?.[1] ?? []).toSorted();
}

export function poolsOf(configFile: string, call: ServerCall): ServedPools {
  return {
    has: (pool) => {
      const pools = openConfigFile(configFile).document.sections.filter(({ type }) => type === 'pool');
      const folder = poolFolderOf(pool);
      return pools.some(({ name, contents }) => name === pool || contents.some(({ key, value }) => key === 'path' && value === folder));
    },
    add: async (name, path) => {
      const quiet = (): void => {};
      const context = { configFile, call, out: quiet, note: quiet };
      const { reason } = await addPoolToServer(context, { name, path, limit: null, overcommit: null, reserve: null });
      if (reason === null) return;
      // The array goes too, and with the section in the file, the name could not be used again.
      await changeServerFile(context, (document) => removeServerSection(document, 'pool', name));
      throw new RsError('E_POOL', `rssrv cannot use pool ${name}: ${reason}`);
    },
  };
}

export function makeServer(machine: ApplianceMachine, configFile: string, { name, namespace, addresses }: OwnServer): Promise<void> {
  return exclusively(machine, 'settings', async () => {
    const { document, fingerprint } = openConfigFile(configFile);
    if (document.sections.length > 0)
      throw new RsError('E_EXISTS', 'The server is set up already: its part of crsio changes it (Esc, then Server)');
    const first = newRssrvcfg({ name, namespace, namespaceid: namespaceidOf(namespace), serverid: 1, addresses });
    const saved = saveConfigFile(configFile, first, fingerprint, undefined, examineRssrvConfig);
    try {
      await machine.run('systemctl', ['start', 'rssrv.service']);
    } catch (thrown) {
      // The file without a section has problems of its own.
      saveConfigFile(configFile, document, saved.fingerprint, undefined, () => ({ problems: [], warnings: [] }));
      throw thrown;
    }
  });
}
