// The first hour of a new user: packages on bare roots, configuration by command, a file system on a volume, and a line in fstab. The
// commands are the same as in the documents. boots.ts and upgrade.ts continue with the machines of install.ts.

import { type Scene, until } from './scene.ts';
import { seconds } from '../support/drills/table.ts';
import type { Machine } from './machine.ts';

const PAIR = ['192.168.45.', '192.168.46.'];
/** The line for /etc/fstab, as in the documents. */
const FSTAB = '/dev/av0/db /data ext4 _netdev,nofail,x-systemd.requires=rsiod.service,x-systemd.device-timeout=infinity 0 2';

async function addresses(machine: Machine, mark: number, host: number): Promise<void> {
  for (const [number, net] of PAIR.entries()) {
    const text = `[Match]\\nMACAddress=52:54:00:00:0${number}:0${mark}\\n[Network]\\nAddress=${net}${host}/24\\n`;
    await machine.run(`printf '${text}' > /etc/systemd/network/10-if${number}.network`);
  }
  const both = PAIR.map((net) => `grep -q ${net}${host} /proc/net/fib_trie`).join(' && ');
  await machine.run(`hostnamectl hostname ${machine.name}; networkctl reload; ${until(both)}`);
}

export async function installed({ server, client, report, before }: Scene): Promise<void> {
  await Promise.all([addresses(server, 1, 10), addresses(client, 2, 20)]);
  for (const machine of [server, client]) {
    const bare = await machine.try('command -v node; dpkg-query -W nodejs; ls /usr/lib/rsio');
    report.check(`${machine.name} is bare`, bare.code !== 0, await machine.run('uname -r; systemctl --version | head -1'));
  }
  const install = async (machine: Machine, product: string): Promise<void> => {
    const startMs = performance.now();
    await machine.run(`apt-get install --yes ${before}/rsio-common_*.deb ${before}/${product}_*.deb`);
    const version = await machine.run(`dpkg-query -W -f '\${Version}' ${product}; echo; node --version`);
    report.check(`apt install ./${product}.deb`, true, `${version.replaceAll('\n', ', node ')}, ${seconds(performance.now() - startMs)}`);
  };
  await Promise.all([install(server, 'rsio-server'), install(client, 'rsio-client')]);
  for (const machine of [server, client]) {
    const failed = await machine.run('systemctl --failed --no-legend --plain');
    report.check(`no unit has failed on ${machine.name}`, failed === '', failed);
  }
}

export async function configured({ server, client, report }: Scene): Promise<void> {
  await server.run('rsadm init --namespace osl --address 192.168.45.10,192.168.46.10');
  await server.run('systemctl enable rssrv; systemctl restart rssrv');
  await server.run('mkdir -p /storage/fast && rsadm pool add fast /storage/fast');
  const key = await server.run('rsadm client add big-2 --rights manage 2>/dev/null');
  const users = await server.run("ps -eo user:8,args | awk '/rssrv/ && !/awk/ {print $1}' | sort | uniq -c");
  report.check('rssrv runs as root, server processes as rsio', /\d root\s+\d+ rsio/.test(users), users);
  const join = 'rsconfig join 192.168.45.10 --name big-2 --key-file big-2.key --no-start';
  await client.run(`(umask 077; echo ${key} > big-2.key); ${until(join, 10)}`);
  await client.run('systemctl enable rsiod; systemctl start rsiod');
  await client.run(until('rsconfig -m status | grep -c "connected tx: ok" | grep -qx 2'));
  report.check('both paths are connected', true);
  const made = await client.run('rsconfig volume create db --size 128m --attach');
  report.check('a volume is created and attached as a block device', made.includes('attached /dev/av0/db'), made);
  await client.run(`sed -i '/^\\[namespace/a attach = db' /etc/rscltcfg && rsconfig check && systemctl reload rsiod`);
  await client.run(`mkfs.ext4 -q /dev/av0/db && mkdir -p /data && echo '${FSTAB}' >> /etc/fstab && systemctl daemon-reload`);
  await client.run('systemctl start data.mount && mountpoint /data');
  report.check('systemd mounts the line of fstab', true, FSTAB);
  await client.run('cp -r /usr/lib/rsio /data/tree && (cd /data && find tree -type f -exec sha256sum {} + > /root/sums)');
}
