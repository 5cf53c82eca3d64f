// Another build of the server: a copy of the built server for tests, in its own folder and with its own version, like the package of the
// next version. Third-party code is linked, not copied. The drill decides when the other build starts, and with which configuration.

import { cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import type { Host } from '../hosts/host.ts';
import type { Hosts } from '../hosts/hosts.ts';
import { FAULTY_SERVER, run, wellOf } from '../programs/programs.ts';

const START_MS = 35_000;

export class OtherBuild {
  private readonly directory: string;

  private constructor() {
    this.directory = mkdtempSync(path.join(tmpdir(), 'rsio-build-'));
    cpSync(path.join(FAULTY_SERVER, '../..'), this.directory, { recursive: true, verbatimSymlinks: true });
    const file = path.join(this.directory, 'packages/rssrv/package.json');
    const facts = JSON.parse(readFileSync(file, 'utf8')) as { version: string };
    writeFileSync(file, JSON.stringify({ ...facts, version: `${facts.version}-other` }));
  }

  /** Makes the build. The cleanup of the hosts removes the build. */
  static make(hosts: Hosts): OtherBuild {
    const build = new OtherBuild();
    hosts.onClean(() => rmSync(build.directory, { recursive: true, force: true }));
    return build;
  }

  /** Starts the rssrv of this build on the root of a host, as Host.startFaulty starts the rssrv of the checkout. */
  async startServer(host: Host): Promise<void> {
    const launcher = path.join(this.directory, 'bin/rssrv');
    wellOf(launcher, await run(launcher, ['--root', host.root], { timeoutMs: START_MS, env: host.environment() }));
  }

  /** Whether a process runs this build. */
  isOf(pid: number): boolean {
    return readFileSync(`/proc/${pid}/cmdline`, 'utf8').includes(`${this.directory}/`);
  }
}
