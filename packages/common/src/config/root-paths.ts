// Defines the paths of the files, folders and sockets that the daemons use. All paths except the folder for memory volumes are below a root
// prefix, so that several simulated hosts can run on one machine. The functions do not access the disk. A relative root depends on the
// current directory, so a program must call these functions before it changes the current directory.

import { posix } from 'node:path';
import { byRole, groupSocket, type LocalRole } from './schema/local-roles.ts';

export type DaemonProgram = 'rssrv' | 'rsiod';

export interface DaemonPaths {
  /** Prefix of all paths; '' for the real root directory. */
  readonly root: string;
  readonly configFile: string;
  readonly runDir: string;
  readonly controlSocket: string;
  readonly pidFile: string;
  readonly logDir: string;
  readonly logFile: string;
  /** Folder for state that survives a reboot. */
  readonly stateDir: string;
  /** File with the latest events, which survives a restart of the daemon. */
  readonly eventsFile: string;
  readonly devDir: string;
}

export interface RssrvPaths extends DaemonPaths {
  /** Control sockets for the members of groups. */
  readonly groupSockets: { readonly [R in LocalRole]: string };
  /** File that stores the ids of volumes whose configuration sets no id. */
  readonly volumesFile: string;
  /** File that lists the volumes of each pool, as they were when the pool was last open. */
  readonly poolsFile: string;
  /** File with samples of the used space of each pool. */
  readonly pacesFile: string;
  /** Journal of requested changes and their answers. */
  readonly requestsFile: string;
  /** Folder with the audit: who has ordered which change. */
  readonly auditDir: string;
  /** File with the namespace's file that was applied last, with its keys. */
  readonly namespaceFile: string;
  /** File with the jobs of the server. */
  readonly jobsFile: string;
  readonly holdersFile: string;
  /** File that records which clients are fenced. */
  readonly fencesFile: string;
  /** File that records which volumes are stopped. */
  readonly haltsFile: string;
  /** Folder with the records of the mirrors for which the server votes, one file for each. */
  readonly votersDir: string;
  /** File that records the workers and the incarnations of volumes. A reboot removes this file, because it is below /run. */
  readonly recordsFile: string;
  /** Folder on a memory file system that contains the data of memory volumes. */
  readonly memoryDir: string;
}

export interface RsiodPaths extends DaemonPaths {
  readonly nbdSocket: string;
  readonly attachedFile: string;
  /** File that records what rsconfig has mounted. A reboot removes this file, as it ends the mounts. */
  readonly mountsFile: string;
  /** File with the addresses at which each server was last found. */
  readonly serversFile: string;
  /** File with the numbers of the volumes at each gate. */
  readonly gatesFile: string;
  /** File with the slots of the volumes on each shelf of AoE, and with the data that hosts have stored for these slots. */
  readonly aoeFile: string;
}

const CONFIG_FILES: Readonly<Record<DaemonProgram | 'rsapp' | 'rsweb', string>> = {
  rssrv: '/etc/dvsc/rssrvcfg',
  rsiod: '/etc/rscltcfg',
  rsapp: '/etc/rscltcfg',
  rsweb: '/etc/rswebcfg',
};

/** Returns the root as an absolute path without a trailing slash. For the real root directory ('' or '/'), returns ''. */
export function normalizeRoot(root: string): string {
  const absolute = posix.resolve(root === '' ? '/' : root);
  return absolute === '/' ? '' : absolute;
}

export function daemonPaths(root: string, program: DaemonProgram | 'rsapp' | 'rsweb'): DaemonPaths {
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
    eventsFile: `${prefix}/var/lib/rsio/${program}/events.jsonl`,
    devDir: `${prefix}/dev`,
  };
}

export function rssrvPaths(root: string): RssrvPaths {
  const paths = daemonPaths(root, 'rssrv');
  return {
    ...paths,
    groupSockets: byRole((role) => groupSocket(paths.controlSocket, role)),
    volumesFile: `${paths.stateDir}/volumes.json`,
    poolsFile: `${paths.stateDir}/pools.json`,
    pacesFile: `${paths.stateDir}/paces.json`,
    requestsFile: `${paths.stateDir}/requests.journal`,
    auditDir: `${paths.stateDir}/audit`,
    namespaceFile: `${paths.stateDir}/namespace.json`,
    jobsFile: `${paths.stateDir}/jobs.json`,
    holdersFile: `${paths.stateDir}/holders.json`,
    fencesFile: `${paths.stateDir}/fences.json`,
    haltsFile: `${paths.stateDir}/halts.json`,
    votersDir: `${paths.stateDir}/voters`,
    recordsFile: `${paths.runDir}/records.json`,
    memoryDir: `/dev/shm/rsio-${process.geteuid?.() ?? 0}`,
  };
}

export function rsiodPaths(root: string): RsiodPaths {
  const paths = daemonPaths(root, 'rsiod');
  return {
    ...paths,
    nbdSocket: `${paths.runDir}/nbd`,
    attachedFile: `${paths.runDir}/attached.json`,
    mountsFile: `${paths.runDir}/mounts.json`,
    serversFile: `${paths.stateDir}/servers.json`,
    gatesFile: `${paths.stateDir}/gates.json`,
    aoeFile: `${paths.stateDir}/aoe.json`,
  };
}
