// Another build of the server, in place of the next version of the package: a copy of the built programs in another folder, with another
// version number. Third-party code is linked, not copied. The drill decides when it starts.

import { cpSync, existsSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Host } from '../hosts/host.ts';
import type { Hosts } from '../hosts/hosts.ts';
import { run, wellOf } from '../programs/programs.ts';

const ROOT = fileURLToPath(new URL('../../../', import.meta.url));
const PACKAGES = ['packages/protocol', 'packages/rssrv'];
const PARTS = ['package.json', 'dist', 'helpers', 'node_modules'];
const START_MS = 35_000;

export class OtherBuild {
  private readonly directory: string;

  private constructor() {
    this.directory = mkdtempSync(path.join(tmpdir(), 'rsio-build-'));
    cpSync(path.join(ROOT, 'bin'), path.join(this.directory, 'bin'), { recursive: true });
    for (const name of PACKAGES) {
      for (const part of PARTS) {
        const from = path.join(ROOT, name, part);
        if (existsSync(from)) cpSync(from, path.join(this.directory, name, part), { recursive: true, verbatimSymlinks: true });
      }
    }
    symlinkSync(path.join(ROOT, 'node_modules'), path.join(this.directory, 'node_modules'));
    const file = path.join(this.directory, 'packages/protocol/package.json');
    const facts = JSON.parse(readFileSync(file, 'utf8')) as { version: string };
    writeFileSync(file, JSON.stringify({ ...facts, version: `${facts.version}-other` }));
  }

  /** Makes the build. It is removed when the hosts are cleaned. */
  static make(hosts: Hosts): OtherBuild {
    const build = new OtherBuild();
    hosts.onClean(() => rmSync(build.directory, { recursive: true, force: true }));
    return build;
  }

  /** Starts rssrv of this build on the root of a host, as Host.start does with rssrv of the checkout. */
  async startServer(host: Host, args: readonly string[] = []): Promise<void> {
    const launcher = path.join(this.directory, 'bin/rssrv');
    wellOf(launcher, await run(launcher, ['--root', host.root, ...args], { timeoutMs: START_MS, env: host.environment() }));
  }

  /** Whether a process runs this build. */
  isOf(pid: number): boolean {
    return readFileSync(`/proc/${pid}/cmdline`, 'utf8').includes(`${this.directory}/`);
  }
}
