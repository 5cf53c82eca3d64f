// Every path that the programs use. All paths are below a root prefix, so that several "hosts" can run on one machine. This file does not
// access the disk. A relative root is resolved against the current directory, so callers must resolve it before changing the directory.

import { posix } from 'node:path';

export type DaemonProgram = 'rssrv' | 'rsiod';

export interface DaemonPaths {
  /** Root prefix; '' for the real root. */
  readonly root: string;
  readonly configFile: string;
  readonly runDir: string;
  readonly controlSocket: string;
  readonly pidFile: string;
  readonly logDir: string;
  readonly logFile: string;
  /** Folder for state that survives a reboot. */
  readonly stateDir: string;
  readonly devDir: string;
}

export interface RssrvPaths extends DaemonPaths {
  /** File with the ids of volumes for which the configuration sets no id. */
  readonly volumesFile: string;
  readonly holdersFile: string;
  /** File that records the workers and the incarnations of volumes. A reboot removes the file. */
  readonly recordsFile: string;
  /** Folder for memory volumes, on a memory file system. */
  readonly memoryDir: string;
}

export interface RsiodPaths extends DaemonPaths {
  readonly nbdSocket: string;
  readonly attachedFile: string;
}

const CONFIG_FILES: Readonly<Record<DaemonProgram, string>> = { rssrv: '/etc/dvsc/rssrvcfg', rsiod: '/etc/rscltcfg' };

/** Returns the absolute prefix without a trailing slash. For the real root ('' or '/'), returns ''. */
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
