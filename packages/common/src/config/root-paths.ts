// Every path that the programs use. All paths are below a root prefix, so that one machine can run several "hosts". Does not access the
// disk. A relative root is resolved against the current directory, so callers must resolve it before they change the directory.

import { posix } from 'node:path';

export type DaemonProgram = 'rssrv' | 'rsiod';

export interface DaemonPaths {
  /** The root prefix; '' is the real root. */
  readonly root: string;
  readonly configFile: string;
  readonly runDir: string;
  readonly controlSocket: string;
  readonly pidFile: string;
  readonly logDir: string;
  readonly logFile: string;
  /** State that survives a reboot. */
  readonly stateDir: string;
  readonly devDir: string;
}

export interface RssrvPaths extends DaemonPaths {
  /** Holds the ids of volumes for which the configuration sets no id. */
  readonly volumesFile: string;
  readonly holdersFile: string;
  /** Records the workers and the incarnations of volumes. A reboot removes the file. */
  readonly recordsFile: string;
  /** The folder for memory volumes. It is on a memory file system. */
  readonly memoryDir: string;
}

export interface RsiodPaths extends DaemonPaths {
  readonly nbdSocket: string;
  readonly attachedFile: string;
}

const CONFIG_FILES: Readonly<Record<DaemonProgram, string>> = { rssrv: '/etc/dvsc/rssrvcfg', rsiod: '/etc/rscltcfg' };

/** The absolute prefix without a trailing slash; '' for the real root ('' or '/'). */
export function normalizeRoot(root: string): string {
  const absolute = posix.resolve(root === '' ? '/' : root);
  return absolute === '/' ? '' : absolute;
}

export function daemonPaths(root: string, program: DaemonProgram): DaemonPaths {
  const prefix = normalizeRoot(root);
  const runDir = `${prefix}/run/rsio/${program}`;
  const logDir = `${prefix}/var/log/rsio`;
  return {
    root: prefix,
    configFile: prefix + CONFIG_FILES[program],
    runDir,
    controlSocket: `${runDir}/control`,
    pidFile: `${runDir}/pid`,
    logDir,
    logFile: `${logDir}/${program}.log`,
    stateDir: `${prefix}/var/lib/rsio/${program}`,
    devDir: `${prefix}/dev`,
  };
}

export function rssrvPaths(root: string): RssrvPaths {
  const paths = daemonPaths(root, 'rssrv');
  return {
    ...paths,
    volumesFile: `${paths.stateDir}/volumes.json`,
    holdersFile: `${paths.stateDir}/holders.json`,
    recordsFile: `${paths.runDir}/records.json`,
    memoryDir: `/dev/shm/rsio-${process.geteuid?.() ?? 0}`,
  };
}

export function rsiodPaths(root: string): RsiodPaths {
  const paths = daemonPaths(root, 'rsiod');
  return { ...paths, nbdSocket: `${paths.runDir}/nbd`, attachedFile: `${paths.runDir}/attached.json` };
}
