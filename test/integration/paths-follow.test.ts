// Paths follow changes of the interfaces in the files of server and client while I/O continues. Real processes on loopback addresses.
// test/netlab tests interfaces that lose their address or carrier.

import { readFileSync, renameSync } from 'node:fs';
import { beforeEach, describe, expect, it } from 'vitest';
import { clientConfig, serverConfig, startServer } from '../support/hosts/configs.ts';
import type { Host } from '../support/hosts/host.ts';
import { type TestNetwork, useHosts } from '../support/hosts/hosts.ts';
import { NbdIo } from '../support/io/nbd-io.ts';
import { needTool } from '../support/programs/programs.ts';
import { waitFor } from '../support/programs/wait-for.ts';

const hosts = useHosts();
const VOLUMES = { oracle: { type: 'memory', size: '32m' } };
/** Size of an I/O. An I/O is so large that rsiod cuts it into segments, which use all paths. */
const IO_BYTES = 1024 * 1024;
const FOLLOW_MS = 10_000;

let server: Host;
let client: Host;
let network: TestNetwork;

beforeEach(async () => {
  server = hosts.host();
  client = hosts.host();
  network = await hosts.network(3);
});

/** Returns the network with only these subnets. */
function part(...indexes: readonly number[]): TestNetwork {
  const pick = <T>(list: readonly T[]): T[] => indexes.map((index) => list[index]!);
  return {
    port: network.port,
    subnets: pick(network.subnets),
    serverAddresses: pick(network.serverAddresses),
    clientAddresses: (which) => pick(network.clientAddresses(which)),
  };
}

/** Makes a client's file with its interfaces in the subnets of `interfaces`, and with `[server]` sections for the subnets of `sections`. */
function clientFile(interfaces: TestNetwork, sections: TestNetwork, defaults: Readonly<Record<string, string>> = {}): string {
  return clientConfig(interfaces, { serverAddresses: sections.serverAddresses, defaults: { paths: 'auto', ...defaults } });
}

async function startClient(file: string, paths: number): Promise<void> {
  client.writeConfig('rsiod', file);
  await client.start('rsiod');
  await client.pathsUp(paths);
}

function reloadServer(file: string): void {
  server.writeConfig('rssrv', file);
  process.kill(server.pid('rssrv'), 'SIGHUP');
}

async function reloadClient(file: string): Promise<readonly string[]> {
  client.writeConfig('rsiod', file);
  return (await client.call('reload', {})).applied;
}

/** States of the paths in order, such as `if0 000 big-9-1 up`. */
async function reps(): Promise<string[]> {
  const { interfaces } = await client.call('status', {});
  return interfaces.flatMap(({ name, reps: list }) =>
    list.map(({ position, section, state }) => `${name} ${String(position).padStart(3, '0')} ${section} ${state}`),
  );
}

async function becomes(wanted: readonly string[]): Promise<void> {
  let seen: string[] = [];
  const isSo = async (): Promise<boolean> => {
    seen = await reps();
    return seen.join('\n') === wanted.join('\n');
  };
  await waitFor(isSo, FOLLOW_MS, `Paths ${wanted.join(', ')}`).catch((error: Error) => {
    throw new Error(`${error.message}: there are ${seen.join(', ')}\n${client.log('rsiod')}`);
  });
}

interface SteadyIo {
  /** Resolves when `count` more writes were read back. */
  more(count: number): Promise<void>;
  /** Ends the I/O; rejects with its first error. */
  end(): Promise<void>;
}

/** Writes and reads back one block after the other until stopped. */
async function steadyIo(): Promise<SteadyIo> {
  await client.rsconfigWell('-a');
  const nbd = await NbdIo.open(client.rsiodPaths.nbdSocket, 'osl/oracle');
  hosts.onClean(() => nbd.close());
  let done = 0;
  let isEnding = false;
  const run = async (): Promise<void> => {
    for (; !isEnding; done++) await nbd.verify((done % 32) * IO_BYTES, IO_BYTES);
  };
  const running = run();
  running.catch(() => undefined);
  return {
    more: (count) => {
      const goal = done + count;
      return Promise.race([running, waitFor(() => done >= goal, FOLLOW_MS, `${count} further writes`)]).then(() => undefined);
    },
    end: () => {
      isEnding = true;
      return running;
    },
  };
}

async function deaths(): Promise<number> {
  const { paths } = await client.call('stats', {});
  return paths.reduce((sum, path) => sum + path.deaths, 0);
}

describe('the server reloads its file', () => {
  it('a new interface becomes a path of a running client and carries I/O, a removed one is retired, and no I/O fails', async () => {
    await startServer(server, part(0, 1), { volumes: VOLUMES });
    await startClient(clientFile(network, part(0, 1)), 2);
    const io = await steadyIo();
    await io.more(20);

    reloadServer(serverConfig(network, { volumes: VOLUMES }));
    await becomes(['if0 000 big-9-1 up', 'if1 001 big-9-2 up', 'if2 002 big-9-if3 up']);
    const carries = async (): Promise<boolean> => {
      const { paths } = await client.call('stats', {});
      return paths.some(({ address, requests }) => address === network.serverAddresses[2] && requests > 10);
    };
    await waitFor(carries, FOLLOW_MS, 'The new path carries requests');
    expect(await client.rsconfigWell('-qv')).toContain(`addr: ${network.serverAddresses[2]}/${network.port} big-9-if3\n`);
    expect(await client.rsconfigWell('-m', 'status')).toContain(`rep: 002 IP(TCP) ${network.serverAddresses[2]}/${network.port} connected`);

    // The client's file has a section for the server's second interface, and no section for the third interface. The server's file names
    // the interfaces by their position. The third interface therefore now has the name that the second interface had.
    reloadServer(serverConfig(part(0, 2), { volumes: VOLUMES }));
    await becomes(['if0 000 big-9-1 up', 'if2 002 big-9-if2 up']);
    await io.more(20);
    reloadServer(serverConfig(part(0), { volumes: VOLUMES }));
    await becomes(['if0 000 big-9-1 up']);
    await io.more(20);
    reloadServer(serverConfig(part(1, 0), { volumes: VOLUMES }));
    await becomes(['if0 000 big-9-1 up', 'if1 001 big-9-2 up']);
    await io.more(20);
    await io.end();
    expect(await client.rsconfigWell('events')).toMatch(/path if1 \S+: connected -> retired: server big-9 does not list it any more/);
  });

  it('all interfaces but one that the client does not know are removed at once: no I/O waits', async () => {
    await startServer(server, part(0), { volumes: VOLUMES });
    await startClient(clientFile(network, part(0)), 1);
    const io = await steadyIo();
    await io.more(20);
    reloadServer(serverConfig(part(1), { volumes: VOLUMES }));
    await becomes(['if1 001 big-9-if1 up']);
    await io.more(20);
    await io.end();
    // After a restart of the server, rsiod comes back over the interface that its file names.
    await server.stop('rssrv');
    await startServer(server, part(0), { volumes: VOLUMES });
    await becomes(['if0 000 big-9-1 up']);
  });
});

describe('a client was away while the only address that its file names was given up', () => {
  it('it finds the server where the server last said to be, also after a second restart, and a client without this memory does not', async () => {
    const { serversFile } = client.rsiodPaths;
    await startServer(server, part(0, 1), { volumes: VOLUMES });
    await startClient(clientFile(network, part(0)), 2);
    await waitFor(() => readFileSync(serversFile, 'utf8').includes(network.serverAddresses[1]!), FOLLOW_MS, 'The client remembers');
    await client.stop('rsiod');
    await server.stop('rssrv');
    await startServer(server, part(1), { volumes: VOLUMES });

    renameSync(serversFile, `${serversFile}-away`);
    await client.start('rsiod');
    expect((await reps()).filter((one) => one.endsWith(' up'))).toEqual([]);
    await client.stop('rsiod');

    renameSync(`${serversFile}-away`, serversFile);
    for (let turn = 0; turn < 2; turn++) {
      await client.start('rsiod');
      await becomes(['if1 001 big-9-if1 up']);
      const io = await steadyIo();
      await io.more(20);
      await io.end();
      await client.stop('rsiod');
    }
  });
});

describe('the client reloads its file', () => {
  it('interfaces, sections and values are added and removed, and no I/O fails', async () => {
    await startServer(server, network, { volumes: VOLUMES });
    await startClient(clientFile(part(0), part(0)), 1);
    const io = await steadyIo();
    await io.more(20);

    expect(await reloadClient(clientFile(part(0, 1), part(0)))).toEqual(['interface if1: - -> added']);
    await becomes(['if0 000 big-9-1 up', 'if1 001 big-9-if2 up']);
    const before = await deaths();
    expect(await reloadClient(clientFile(part(0, 1), part(0, 1), { stall: '30s', heartbeat: '500ms' }))).toEqual([
      'namespace osl: stall = 10m -> stall = 30s',
      'namespace osl: heartbeat = 1s -> heartbeat = 500ms',
      'server big-9-2 of namespace osl: - -> added',
    ]);
    // The path is the same, but has a new name.
    await becomes(['if0 000 big-9-1 up', 'if1 001 big-9-2 up']);
    expect(await deaths()).toBe(before);
    await io.more(20);

    client.writeConfig('rsiod', clientFile(part(1), part(0, 1)));
    process.kill(client.pid('rsiod'), 'SIGHUP');
    await becomes(['if0 001 big-9-2 up']);
    await io.more(20);
    await io.end();
    await client.logged('rsiod', 'Configuration: interface if1: configured -> removed\n');
    expect(await client.rsconfigWell('events')).toMatch(/server big-9-2 of namespace osl: - -> added: The configuration was reloaded/);
  });

  it('an invalid or impossible change is refused with the reason, and everything stays as it was', async () => {
    await startServer(server, network, { volumes: VOLUMES });
    const file = clientFile(network, network);
    await startClient(file, 3);
    const io = await steadyIo();
    const before = await reps();
    const wrong = `${file.replace('[interface if1]', '[interface if7]')}\n[server nowhere]\naddress = 300.1.2.3\n`;
    await expect(reloadClient(wrong)).rejects.toMatchObject({
      code: 'E_CONFIG',
      message: expect.stringMatching(/Wrong value "300\.1\.2\.3"/),
    });
    process.kill(client.pid('rsiod'), 'SIGHUP');
    await waitFor(
      () =>
        (client.log('rsiod').match(/^The configuration is unchanged: \S+rscltcfg:\d+: Wrong value "300\.1\.2\.3" for address/gm) ?? [])
          .length === 2,
      FOLLOW_MS,
      'The log says twice why the file was refused',
    );
    await expect(reloadClient(file.slice(0, file.indexOf('[namespace')))).rejects.toMatchObject({
      code: 'E_IN_USE',
      message: 'Namespace osl cannot be removed while osl:oracle@0 is attached: restore it, or run rsconfig -d osl:oracle@0 first',
    });
    await expect(reloadClient(file.slice(0, file.indexOf('[server')))).rejects.toMatchObject({
      code: 'E_IN_USE',
      message: expect.stringMatching(/^No \[server\] section of namespace osl, or no \[interface\], leads to server big-9 any more/),
    });
    await io.more(20);
    expect([await reps(), await deaths()]).toEqual([before, 0]);
    await io.end();
    expect(await client.rsconfigWell('events')).toMatch(/configuration: read -> refused: Namespace osl cannot be removed/);
  });

  it('a namespace without attached volumes is removed and added again, and its volumes are attached', async () => {
    await startServer(server, part(0), { volumes: VOLUMES });
    const file = clientFile(part(0), part(0));
    await startClient(file, 1);
    expect(await reloadClient(file.slice(0, file.indexOf('[namespace')))).toEqual(['namespace osl: configured -> removed']);
    expect(await client.call('query', { refresh: false })).toEqual({ namespaces: [] });
    await reloadClient(clientFile(part(0), part(0), { attach: 'all' }));
    await client.pathsUp(1);
    const isAttached = async (): Promise<boolean> => (await client.call('local', {})).attachments.length === 1;
    await waitFor(isAttached, FOLLOW_MS, 'The volume is attached');
    // A reload without a change does not attach a volume that the administrator has detached.
    await client.rsconfigWell('-d');
    expect(await reloadClient(clientFile(part(0), part(0), { attach: 'all' }))).toEqual([]);
    expect((await client.call('local', {})).attachments).toEqual([]);
    // A namespace that is added again starts without its earlier state.
    await reloadClient(file.slice(0, file.indexOf('[namespace')));
    await reloadClient(clientFile(part(0), part(0), { attach: 'all' }));
    await waitFor(isAttached, FOLLOW_MS, 'The volume is attached again');
  });
});

describe('rsconfig -m test', () => {
  it('measures every path, including learned ones, beside ongoing I/O', async () => {
    await startServer(server, part(0, 1), { volumes: VOLUMES });
    await startClient(clientFile(part(0, 1), part(0)), 2);
    const io = await steadyIo();
    const { paths, leftOut } = await client.call('probe', { interface: null, remote: null });
    expect(paths.map(({ interface: name, section, error }) => [name, section, error])).toEqual([
      ['if0', 'big-9-1', null],
      ['if1', 'big-9-if2', null],
    ]);
    for (const path of paths) {
      expect(path).toMatchObject({ server: 'big-9', serverid: 1, device: 'lo', port: network.port });
      const { reachMs, handshakeMs, roundTripMs, sendBytesPerSecond, receiveBytesPerSecond, mtuBytes } = path;
      expect(
        [reachMs, handshakeMs, roundTripMs, sendBytesPerSecond, receiveBytesPerSecond, mtuBytes].every((one) => one !== null && one > 0),
      ).toBe(true);
    }
    expect(leftOut).toEqual([]);
    await io.more(5);
    await io.end();
    await becomes(['if0 000 big-9-1 up', 'if1 001 big-9-if2 up']);
    expect(await deaths()).toBe(0);
    expect(await client.rsconfigWell('-m', 'test', 'if1')).toMatch(/^if1 -> \S+ +big-9 /m);
  });

  it('gives the reason why a path cannot be used', async () => {
    await startServer(server, part(0), { volumes: VOLUMES });
    client.writeConfig('rsiod', clientFile(part(0, 1), part(0, 1)).replace(/^nodekey = .*$/m, 'nodekey = not-the-key-of-big-2'));
    await client.start('rsiod');
    const { code, stdout } = await client.rsconfig('-m', 'test');
    expect(code).toBe(1);
    expect(stdout).toMatch(/does not accept this node's proof: .*\[E_AUTH\]/);
    expect(stdout).toMatch(/nothing listens there.*\[E_UNREACHABLE\]/);
  });
});

it('the monitor of interfaces ends with rsiod, even if rsiod is killed', async (context) => {
  needTool(context, 'ip', 'iproute2');
  const programs = (): string[] => client.processes().map((pid) => readFileSync(`/proc/${pid}/comm`, 'utf8').trim());
  for (const how of ['stop', 'kill'] as const) {
    client.writeConfig('rsiod', `${clientConfig(part(0))}\n[interface other]\naddress = 198.51.100.7\n`);
    await client.start('rsiod');
    await waitFor(() => programs().includes('ip'), FOLLOW_MS, 'The monitor runs');
    await client[how]('rsiod');
    await waitFor(() => client.processes().length === 0, FOLLOW_MS, `No process is left after ${how}`);
  }
});
