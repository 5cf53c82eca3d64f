// The packages that `npm run package` builds: the programs, manual pages and other files of each package. stage.mjs lays the files out, and
// deb.mjs and tarball.mjs pack them. Invariant: every program of bin/, every manual page and every unit belongs to exactly one package.

/** The folder below which the files of all programs lie on the target. */
export const LIBRARY = 'usr/lib/rsio';

/**
 * `programs`: maps a launcher to [package, file without extension]. `packages`: the programs' folders below LIBRARY. `files`: maps a source
 * to its place on the target. `folders`: source folders of packages/ that also lie below LIBRARY. `libraries`: libraries whose files are
 * copied, in addition to those that the programs contain. `settings`: the first configuration file, which the maintainer scripts copy to
 * its place if no such file exists; null: the package has no such file. `sameVersion`: packages that this package needs in exactly the same
 * version. `formerly`: packages that had some of these files before this version.
 */
export const PRODUCTS = {
  'rsio-common': {
    summary: 'terminal screens and documents of RSIO',
    description: [
      'RSIO offers volumes over several network interfaces at once.',
      'This package contains what servers and clients have in common: crsio, which',
      'shows and changes either in a terminal, the manual page rsio(7), the guide for',
      'administrators, the guarantees, and examples.',
    ],
    packages: ['crsio'],
    programs: { crsio: ['crsio', 'main'] },
    pages: ['crsio.8', 'rsio.7'],
    completion: [],
    units: [],
    settings: null,
    files: {
      'docs/OPERATING.md': 'usr/share/doc/rsio-common/OPERATING.md',
      'docs/HOSTS.md': 'usr/share/doc/rsio-common/HOSTS.md',
      'docs/GUARANTEES.md': 'usr/share/doc/rsio-common/GUARANTEES.md',
    },
    folders: [],
    libraries: [],
    scripts: {
      'packaging/examples/trigger-mail': 'usr/share/doc/rsio-common/examples/trigger-mail',
      'packaging/examples/trigger-webhook': 'usr/share/doc/rsio-common/examples/trigger-webhook',
    },
    depends: ['nodejs (>= 20.19)'],
    sameVersion: [],
    formerly: ['rsio-client'],
    recommends: [],
    suggests: ['rsio-server', 'rsio-client'],
    isNative: false,
  },
  'rsio-server': {
    summary: 'server of RSIO, multipath block storage over TCP',
    description: [
      'RSIO offers volumes over several network interfaces at once. It does',
      'connection set-up, supervision, trunking, failover and error recovery itself.',
      'This package contains the server rssrv and its commands rsadm and rsslogcat.',
    ],
    packages: ['rssrv', 'rsadm'],
    programs: { rssrv: ['rssrv', 'main'], rsslogcat: ['rssrv', 'logcat'], rsadm: ['rsadm', 'main'] },
    pages: ['rssrv.8', 'rssrvcfg.5', 'rsadm.8', 'rsslogcat.8', 'fence_rsio.8'],
    completion: ['rsadm'],
    units: ['rssrv'],
    settings: 'rssrvcfg',
    files: {
      'packaging/rsio.sysusers': 'usr/lib/sysusers.d/rsio-server.conf',
      'packaging/deb/rsio-server/users-of-volumes.cjs': 'usr/share/rsio-server/users-of-volumes.cjs',
      'packaging/rssrv-farm.conf': 'usr/share/rsio/rssrv-farm.conf',
      'packaging/prometheus/rsio.rules.yml': 'usr/share/rsio/prometheus/rsio.rules.yml',
      'packaging/grafana/rsio.json': 'usr/share/rsio/grafana/rsio.json',
    },
    folders: [],
    libraries: ['koffi'],
    scripts: { 'packaging/fence_rsio': 'usr/sbin/fence_rsio', 'packaging/ocf-pool': 'usr/lib/ocf/resource.d/rsio/pool' },
    depends: ['nodejs (>= 20.19)', 'libc6 (>= 2.28)', 'adduser', 'perl:any'],
    sameVersion: ['rsio-common'],
    formerly: [],
    recommends: ['logrotate', 'qemu-utils'],
    suggests: [
      // The first two lines are for shared pools, the second one for shared pools in Ceph.
      ...['mount', 'xfsprogs'],
      ...['ceph-common', 'python3-rados', 'python3-rbd', 'qemu-system-common', 'qemu-block-extra'],
      'rsio-client',
    ],
    isNative: true,
  },
  'rsio-client': {
    summary: 'client of RSIO, multipath block storage over TCP',
    description: [
      'RSIO makes volumes of RSIO servers local block devices, over several network',
      'interfaces at once.',
      'This package contains the daemon rsiod and its commands rsconfig and rsclogcat,',
      'and rsapp, which runs applications on one of several nodes.',
    ],
    packages: ['rsiod', 'rsconfig', 'rsapp'],
    programs: { rsiod: ['rsiod', 'main'], rsclogcat: ['rsiod', 'logcat'], rsconfig: ['rsconfig', 'main'], rsapp: ['rsapp', 'main'] },
    pages: ['rsapp.8', 'rsiod.8', 'rscltcfg.5', 'rsconfig.8', 'rsclogcat.8'],
    completion: ['rsconfig'],
    units: ['rsiod', 'rsapp'],
    settings: 'rscltcfg',
    files: { 'packaging/rsio.rules': 'usr/lib/udev/rules.d/60-rsio.rules' },
    folders: [],
    libraries: ['koffi'],
    scripts: { 'packaging/ocf-volume': 'usr/lib/ocf/resource.d/rsio/volume' },
    depends: ['nodejs (>= 20.19)', 'libc6 (>= 2.28)', 'iproute2', 'mount', 'perl:any'],
    sameVersion: ['rsio-common'],
    formerly: [],
    recommends: ['logrotate'],
    suggests: ['qemu-utils', 'nbd-client'],
    isNative: true,
  },
  'rsio-web': {
    summary: 'pages about servers and clients of RSIO',
    description: [
      'RSIO offers volumes over several network interfaces at once.',
      'This package contains the daemon rsweb, which shows servers, clients and',
      'volumes in a browser. It runs without rights.',
    ],
    packages: ['rsweb'],
    programs: { rsweb: ['rsweb', 'main'] },
    pages: ['rsweb.8', 'rswebcfg.5'],
    completion: [],
    units: ['rsweb'],
    settings: 'rswebcfg',
    files: { 'packaging/rsweb.sysusers': 'usr/lib/sysusers.d/rsio-web.conf' },
    folders: ['packages/rsweb/assets'],
    libraries: ['uplot'],
    scripts: {},
    depends: ['nodejs (>= 20.19)', 'adduser'],
    sameVersion: [],
    formerly: [],
    recommends: ['logrotate'],
    suggests: ['rsio-server', 'rsio-client'],
    isNative: false,
  },
};
