// The packages that `npm run package` builds: the programs, manual pages and other files of each package. stage.mjs lays the files out, and
// deb.mjs and tarball.mjs pack them. Invariant: every program of bin/, every manual page and every unit belongs to exactly one package.

/** The folder below which the files of all programs lie on the target. */
export const LIBRARY = 'usr/lib/rsio';

/**
 * `programs`: maps a launcher to [package, file without extension]. `packages`: the programs' folders below LIBRARY. `files`: maps a source
 * to its place on the target. `folders`: maps a folder to its place on the target. `libraries`: libraries whose files are
 * copied, in addition to those that the programs contain. `settings`: the first configuration file, which the maintainer scripts copy to
 * its place if no such file exists; null: the package has no such file. `beside`: packages of RSIO that belong beside this one. They are
 * recommended, in any version: with a dependency or a version, packages could not be installed and upgraded in each order. `formerly`: the
 * last versions of packages that had some of these files. dpkg lets this package take the files over, and removes nothing.
 */
export const PRODUCTS = {
  'rsio-common': {
    summary: 'terminal screens and documents of RSIO',
    description: [
      'RSIO offers volumes over several network interfaces at once.',
      'This package contains what servers and clients have in common: crsio, which',
      'shows and changes either in a terminal, the manual page rsio(7), the guide for',
      'administrators, the guarantees, examples, and modules for Ansible.',
    ],
    packages: ['crsio'],
    programs: { crsio: ['crsio', 'main'] },
    pages: ['crsio.8', 'rsio-namespace.5', 'rsio.7'],
    completion: [],
    units: [],
    settings: null,
    files: {
      'docs/OPERATING.md': 'usr/share/doc/rsio-common/OPERATING.md',
      'docs/HOSTS.md': 'usr/share/doc/rsio-common/HOSTS.md',
      'docs/HYPERVISORS.md': 'usr/share/doc/rsio-common/HYPERVISORS.md',
      'docs/APPLICATIONS.md': 'usr/share/doc/rsio-common/APPLICATIONS.md',
      'docs/METRICS.md': 'usr/share/doc/rsio-common/METRICS.md',
      'docs/TUTORIAL.md': 'usr/share/doc/rsio-common/TUTORIAL.md',
      'packaging/examples/volumes.yml': 'usr/share/doc/rsio-common/examples/volumes.yml',
      'docs/GUARANTEES.md': 'usr/share/doc/rsio-common/GUARANTEES.md',
    },
    folders: {
      'dist/docs/json': 'usr/share/doc/rsio-common/json',
      'packaging/ansible': 'usr/share/ansible/collections/ansible_collections/osl/rsio',
    },
    libraries: [],
    scripts: {
      'packaging/examples/trigger-mail': 'usr/share/doc/rsio-common/examples/trigger-mail',
      'packaging/examples/trigger-webhook': 'usr/share/doc/rsio-common/examples/trigger-webhook',
    },
    depends: ['nodejs (>= 20.19)'],
    beside: [],
    formerly: ['rsio-client (<= 0.2.0)'],
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
    folders: {},
    libraries: ['koffi'],
    scripts: { 'packaging/fence_rsio': 'usr/sbin/fence_rsio', 'packaging/ocf-pool': 'usr/lib/ocf/resource.d/rsio/pool' },
    depends: ['nodejs (>= 20.19)', 'libc6 (>= 2.28)', 'adduser'],
    beside: ['rsio-common'],
    formerly: [],
    // perl sends the log to the journal or to syslog.
    recommends: ['logrotate', 'perl', 'qemu-utils'],
    suggests: [
      // The first line is for all shared pools, and the second line only for shared pools in Ceph.
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
    pages: ['rsapp.8', 'rsiod.8', 'rscltcfg.5', 'rsconfig.8', 'rsclogcat.8', 'rsio-aoe.7'],
    completion: ['rsconfig'],
    units: ['rsiod', 'rsapp'],
    settings: 'rscltcfg',
    files: {
      'packaging/rsiod-aoe.conf': 'usr/share/rsio/rsiod-aoe.conf',
      'packaging/rsio-backup@.service': 'usr/lib/systemd/system/rsio-backup@.service',
      'packaging/rsio-backup@.timer': 'usr/lib/systemd/system/rsio-backup@.timer',
      'packaging/rsio-backup-verify@.service': 'usr/lib/systemd/system/rsio-backup-verify@.service',
      'packaging/rsio-backup-verify@.timer': 'usr/lib/systemd/system/rsio-backup-verify@.timer',
      'packaging/rsio.rules': 'usr/lib/udev/rules.d/60-rsio.rules',
      'packaging/RSIOPlugin.pm': 'usr/share/rsio/proxmox/RSIOPlugin.pm',
    },
    folders: {},
    libraries: ['koffi'],
    scripts: { 'packaging/ocf-volume': 'usr/lib/ocf/resource.d/rsio/volume' },
    depends: ['nodejs (>= 20.19)', 'libc6 (>= 2.28)', 'iproute2', 'mount', 'perl:any'],
    beside: ['rsio-common'],
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
    folders: { 'packages/rsweb/assets': `${LIBRARY}/rsweb/assets` },
    libraries: ['uplot'],
    scripts: {},
    depends: ['nodejs (>= 20.19)', 'adduser'],
    beside: [],
    formerly: [],
    recommends: ['logrotate'],
    suggests: ['rsio-server', 'rsio-client'],
    isNative: false,
  },
  'rsio-csi': {
    summary: 'volumes of RSIO for Kubernetes',
    description: [
      'RSIO offers volumes over several network interfaces at once.',
      'This package contains the CSI driver rsio-csi, through which Kubernetes and',
      'other orchestrators use volumes of RSIO. It is meant for container images.',
    ],
    packages: ['csi'],
    programs: { 'rsio-csi': ['csi', 'main'] },
    pages: ['rsio-csi.8'],
    completion: [],
    units: [],
    settings: null,
    files: {
      'docs/KUBERNETES.md': 'usr/share/doc/rsio-csi/KUBERNETES.md',
      'packaging/kubernetes/driver.yaml': 'usr/share/rsio/kubernetes/driver.yaml',
      'packaging/kubernetes/controller.yaml': 'usr/share/rsio/kubernetes/controller.yaml',
      'packaging/kubernetes/node.yaml': 'usr/share/rsio/kubernetes/node.yaml',
      'packaging/kubernetes/classes.yaml': 'usr/share/rsio/kubernetes/classes.yaml',
    },
    folders: { 'packages/csi/proto': `${LIBRARY}/csi/proto` },
    libraries: [],
    scripts: {},
    depends: ['nodejs (>= 20.19)', 'e2fsprogs', 'xfsprogs', 'mount'],
    beside: [],
    formerly: [],
    recommends: [],
    suggests: ['rsio-client'],
    isNative: false,
  },
};
