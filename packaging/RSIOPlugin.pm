package PVE::Storage::Custom::RSIOPlugin;

# Storage plugin for Proxmox VE: disks of guests are volumes of RSIO servers. It runs `rsconfig --json` of the node, whose rsiod attaches the
# volumes. Invariants: a disk is attached at one node at a time, unless the storage has rsio-shared; a disk is taken over from another node
# only if the cluster has given this node the guest, and only with proof (never --force); nothing is removed that any client holds.
# docs/HYPERVISORS.md describes it.

use strict;
use warnings;

use IO::Select;
use IPC::Open3 qw(open3);
use JSON::PP ();
use Symbol qw(gensym);
use Time::HiRes qw(time sleep);

use PVE::Storage::Plugin;
use base qw(PVE::Storage::Plugin);

# Versions of the storage API of Proxmox VE for which this file was written.
use constant API_OLDEST => 10;
use constant API_NEWEST => 15;

# How long rsconfig waits by itself, and how long this plugin waits for rsconfig, in seconds.
use constant RSCONFIG_WAIT_S => 60;
use constant NEW_VOLUME_S => 5;
use constant COMMAND_S => 90;
# A clone of a snapshot is immediate; a copy is not made by this plugin. A thick volume is allocated at once.
use constant CREATE_S => 600;
use constant OUTPUT_MAX_BYTES => 64 * 1024 * 1024;

# Prefix of snapshots that this plugin makes for itself: Proxmox VE permits no such name.
use constant BASE_SNAPSHOT => 'pve-base';
# A snapshot that rssrv makes before a roll back; Proxmox VE does not know it.
use constant HIDDEN_SNAPSHOT => qr/^(?:before-(?:rollback|restore)|pve-base$)/;
use constant GUEST_CONFIGS => ('/etc/pve/qemu-server', '/etc/pve/lxc');

sub api {
    my $current = eval { PVE::Storage::APIVER() } // API_OLDEST;
    return $current > API_NEWEST ? API_NEWEST : $current < API_OLDEST ? API_OLDEST : $current;
}

sub type { return 'rsio'; }

sub plugindata {
    return {
        content => [{ images => 1, rootdir => 1, none => 1 }, { images => 1, rootdir => 1 }],
        format => [{ raw => 1 }, 'raw'],
        'sensitive-properties' => {},
    };
}

sub properties {
    return {
        'rsio-namespace' => { description => 'Namespace of the RSIO servers.', type => 'string', pattern => '[A-Za-z0-9._-]{1,63}' },
        'rsio-server' => { description => 'Server that has the disks; default: any.', type => 'string', pattern => '[A-Za-z0-9._-]{1,63}' },
        'rsio-pool' => { description => 'Pool of the disks; default: the server chooses.', type => 'string', pattern => '[A-Za-z0-9._-]{1,63}' },
        'rsio-prefix' => {
            description => 'Beginning of the names of the volumes, so that several clusters can use one namespace.',
            type => 'string',
            pattern => '[A-Za-z0-9][A-Za-z0-9._-]{0,31}',
        },
        'rsio-nodes' => {
            description => 'The nodes of the cluster, by their names as clients of the servers, such as pve1,pve2.',
            type => 'string',
            pattern => '[A-Za-z0-9][A-Za-z0-9._,-]{0,4000}',
        },
        'rsio-thick' => { description => 'Allocate all space of new disks.', type => 'boolean' },
        'rsio-shared' => {
            description => 'Several nodes may attach a disk at a time, for live migration. RSIO then stops no node that is still writing.',
            type => 'boolean',
        },
    };
}

sub options {
    return {
        'rsio-namespace' => { fixed => 1 },
        'rsio-server' => { optional => 1, fixed => 1 },
        'rsio-pool' => { optional => 1, fixed => 1 },
        'rsio-prefix' => { optional => 1, fixed => 1 },
        'rsio-nodes' => { optional => 1 },
        'rsio-thick' => { optional => 1 },
        'rsio-shared' => { optional => 1 },
        nodes => { optional => 1 },
        shared => { optional => 1 },
        disable => { optional => 1 },
        content => { optional => 1 },
        bwlimit => { optional => 1 },
    };
}

# --- rsconfig ---------------------------------------------------------------------------------------------------------------------------

sub rsconfig_program { return $ENV{RSIO_RSCONFIG} // 'rsconfig'; }

# Runs rsconfig with a time limit and a bound for its output. Returns the exit code, stdout and stderr. Dies if it cannot run or does not end.
sub run_rsconfig {
    my ($seconds, @words) = @_;
    my $error = gensym;
    my $pid = open3(my $input, my $output, $error, rsconfig_program(), @words);
    close($input);
    my %text = (fileno($output) => '', fileno($error) => '');
    my $select = IO::Select->new($output, $error);
    my $until = time() + $seconds;
    while ($select->count) {
        my $left = $until - time();
        my @ready = $left > 0 ? $select->can_read($left) : ();
        if (!@ready) {
            kill('TERM', $pid);
            waitpid($pid, 0);
            die "rsconfig @words has not answered for $seconds s: see rsclogcat on this node\n";
        }
        for my $handle (@ready) {
            my $length = sysread($handle, my $part, 65536);
            if (!$length) { $select->remove($handle); next; }
            $text{ fileno($handle) } .= $part;
            if (length($text{ fileno($handle) }) > OUTPUT_MAX_BYTES) {
                kill('TERM', $pid);
                waitpid($pid, 0);
                die "rsconfig @words printed more than " . OUTPUT_MAX_BYTES . " bytes\n";
            }
        }
    }
    waitpid($pid, 0);
    return ($? >> 8 || ($? & 127 ? 128 + ($? & 127) : 0), $text{ fileno($output) }, $text{ fileno($error) });
}

# Runs rsconfig and returns the JSON that it prints. Dies with its sentence. With `may_fail`, returns JSON also if the exit code is not 0.
sub ask {
    my ($words, %how) = @_;
    my ($code, $out, $err) = run_rsconfig($how{seconds} // COMMAND_S, @$words, '--json');
    my $answer = $code == 0 || $how{may_fail} ? eval { JSON::PP->new->utf8->decode($out) } : undef;
    return $answer if ref($answer) eq 'HASH';
    $err =~ s/\s+\z//;
    die(($err ne '' ? $err : "rsconfig @$words: exit code $code, without a reason") . "\n");
}

sub place_of {
    my ($scfg) = @_;
    my @place = ('--namespace', $scfg->{'rsio-namespace'});
    push @place, '--server', $scfg->{'rsio-server'} if defined($scfg->{'rsio-server'});
    return @place;
}

sub prefix_of { my ($scfg) = @_; return $scfg->{'rsio-prefix'} // ''; }

# Name of the volume without its namespace.
sub volume_of {
    my ($class, $scfg, $volname) = @_;
    my (undef, $name) = $class->parse_volname($volname);
    return prefix_of($scfg) . $name;
}

# All servers that answered, with their volumes. Dies if a server that may have a disk of this storage has not answered in full.
sub all_volumes {
    my ($scfg) = @_;
    my $answer = ask(['volume', 'list', place_of($scfg)], may_fail => 1);
    my @mute = grep { $_->{state} ne 'answered' } @{ $answer->{servers} };
    if (@mute) {
        my ($first) = @mute;
        my $why = $first->{error} ? $first->{error}{message} : $first->{state};
        die "server $first->{server} has not listed its volumes: $why\n";
    }
    return map { @{ $_->{volumes} } } @{ $answer->{servers} };
}

# The volumes that this node has attached, by name.
sub attached_here {
    my ($scfg) = @_;
    my $answer = ask(['-l']);
    return { map { $_->{name} => $_ } grep { $_->{namespace} eq $scfg->{'rsio-namespace'} && $_->{universe} == 0 } @{ $answer->{attachments} } };
}

# --- names and paths --------------------------------------------------------------------------------------------------------------------

sub parse_volname {
    my ($class, $volname) = @_;
    if ($volname =~ m/^((vm|base)-([1-9][0-9]{2,8})-[A-Za-z0-9][A-Za-z0-9._-]{0,40})\z/) {
        return ('images', $1, $3, undef, undef, $2 eq 'base', 'raw');
    }
    die "cannot parse the name '$volname' of a disk of RSIO: allowed is such as vm-100-disk-0\n";
}

# The device of an attached disk. Without one, the place where udev would show it, which does not exist until the disk is activated.
sub path {
    my ($class, $scfg, $volname, $storeid, $snapname) = @_;
    my ($vtype, $name, $vmid) = $class->parse_volname($volname);
    my $volume = volume_of($class, $scfg, $volname) . (defined($snapname) ? "\@$snapname" : '');
    my $here = attached_here($scfg)->{$volume};
    my $path = defined($here) ? $here->{blockDevice} : "/dev/av0/$volume";
    return wantarray ? ($path, $vmid, $vtype) : $path;
}

sub filesystem_path {
    my ($class, $scfg, $volname, $snapname) = @_;
    return $class->path($scfg, $volname, undef, $snapname);
}

# --- storage ----------------------------------------------------------------------------------------------------------------------------

sub status {
    my ($class, $storeid, $scfg, $cache) = @_;
    my $answer = ask(['pool', 'list', place_of($scfg)]);
    my ($total, $free) = (0, 0);
    for my $pool (map { @{ $_->{pools} } } @{ $answer->{servers} }) {
        next if defined($scfg->{'rsio-pool'}) && $pool->{name} ne $scfg->{'rsio-pool'};
        next if $pool->{state} ne 'ready';
        $total += $pool->{totalBytes} // 0;
        $free += $pool->{usableBytes} // 0;
    }
    return ($total, $free, $total - $free, $total > 0 ? 1 : 0);
}

sub activate_storage {
    my ($class, $storeid, $scfg, $cache) = @_;
    ask(['-q']);
    return 1;
}

sub deactivate_storage { return 1; }

sub check_connection {
    my ($class, $storeid, $scfg) = @_;
    my $answer = eval { ask(['pool', 'list', place_of($scfg)]) };
    return defined($answer) ? 1 : 0;
}

# --- disks ------------------------------------------------------------------------------------------------------------------------------

sub wanted_options {
    my ($scfg) = @_;
    my @options;
    push @options, '--pool', $scfg->{'rsio-pool'} if defined($scfg->{'rsio-pool'});
    push @options, '--thick' if $scfg->{'rsio-thick'};
    push @options, '--shared' if $scfg->{'rsio-shared'};
    return @options;
}

# A server with tenants gives a new volume to this node alone. The other nodes attach, take over and change it as well.
sub give_to_nodes {
    my ($scfg, $volume) = @_;
    my $nodes = $scfg->{'rsio-nodes'};
    return if !defined($nodes);
    ask(['volume', 'set', $volume, "clients=$nodes", "take-over=$nodes", "managers=$nodes", place_of($scfg)]);
}

sub alloc_image {
    my ($class, $storeid, $scfg, $vmid, $fmt, $name, $size) = @_;
    die "RSIO has disks of format raw only, not '$fmt'\n" if $fmt ne 'raw';
    die "illegal name '$name' of a disk: it must begin with vm-$vmid-\n" if defined($name) && $name !~ m/^vm-\Q$vmid\E-/;
    $name //= $class->find_free_diskname($storeid, $scfg, $vmid, $fmt);
    my $volume = volume_of($class, $scfg, $name);
    # Proxmox VE gives KiB; a volume has whole blocks.
    my $bytes = int($size) * 1024;
    ask(['volume', 'create', $volume, '--size', $bytes, wanted_options($scfg), place_of($scfg)], seconds => CREATE_S);
    give_to_nodes($scfg, $volume);
    return $name;
}

sub free_image {
    my ($class, $storeid, $scfg, $volname, $isBase, $format) = @_;
    my $volume = volume_of($class, $scfg, $volname);
    detach($scfg, $volume);
    ask(['volume', 'remove', $volume, '--yes', place_of($scfg)]);
    return undef;
}

sub list_images {
    my ($class, $storeid, $scfg, $vmid, $vollist, $cache) = @_;
    my $prefix = prefix_of($scfg);
    my @found;
    for my $volume (all_volumes($scfg)) {
        next if $volume->{universe} != 0 || $volume->{name} !~ m/^\Q$prefix\E(.+)\z/;
        my $name = $1;
        my (undef, undef, $owner) = eval { $class->parse_volname($name) };
        next if !defined($owner);
        next if defined($scfg->{'rsio-pool'}) && ($volume->{pool} // '') ne $scfg->{'rsio-pool'};
        my $volid = "$storeid:$name";
        if ($vollist) {
            next if !grep { $_ eq $volid } @$vollist;
        } else {
            next if defined($vmid) && $owner ne $vmid;
        }
        my $entry = { volid => $volid, format => 'raw', size => $volume->{sizeBytes} // 0, vmid => $owner };
        $entry->{used} = $volume->{usedBytes} if defined($volume->{usedBytes});
        $entry->{ctime} = int($volume->{createdMs} / 1000) if defined($volume->{createdMs});
        push @found, $entry;
    }
    return \@found;
}

sub shown {
    my ($class, $scfg, $volname) = @_;
    return ask(['volume', 'show', volume_of($class, $scfg, $volname), place_of($scfg)]);
}

sub volume_size_info {
    my ($class, $scfg, $storeid, $volname, $timeout) = @_;
    my $volume = shown($class, $scfg, $volname)->{volume};
    my $size = $volume->{sizeBytes} // die "disk $volname is not served: " . ($volume->{reason} // 'unknown') . "\n";
    return wantarray ? ($size, 'raw', $volume->{usedBytes} // 0, undef) : $size;
}

# The disk may be in use: the device grows within a second. Returns undef, so that Proxmox VE tells the guest the new size.
sub volume_resize {
    my ($class, $scfg, $storeid, $volname, $size, $running, $snapname) = @_;
    die "a snapshot of a disk of RSIO has the size of its moment\n" if defined($snapname);
    my $volume = volume_of($class, $scfg, $volname);
    my $now = shown($class, $scfg, $volname)->{volume}{sizeBytes} // 0;
    die "disk $volname has $now bytes, and RSIO makes no volume smaller\n" if $size < $now;
    ask(['volume', 'grow', $volume, $size, place_of($scfg)]) if $size > $now;
    wait_for_size($scfg, $volume, $size) if attached_here($scfg)->{$volume};
    return undef;
}

sub wait_for_size {
    my ($scfg, $volume, $size) = @_;
    my $until = time() + RSCONFIG_WAIT_S;
    while (time() < $until) {
        my $here = attached_here($scfg)->{$volume};
        return if !defined($here) || $here->{blocks} * $here->{blockSizeBytes} >= $size;
        sleep(0.2);
    }
    die "volume $volume has its new size at the server and not yet at this node: see rsconfig -lvv\n";
}

sub rename_volume {
    my ($class, $scfg, $storeid, $source, $vmid, $target) = @_;
    $target //= $class->find_free_diskname($storeid, $scfg, $vmid, 'raw');
    my $volume = volume_of($class, $scfg, $source);
    detach($scfg, $volume);
    ask(['volume', 'rename', $volume, volume_of($class, $scfg, $target), place_of($scfg)]);
    return "$storeid:$target";
}

# --- attach and detach ------------------------------------------------------------------------------------------------------------------

# True if the configuration of the guest is at this node: the cluster has a quorum for it, and has fenced the node that had the guest before.
sub guest_is_here {
    my ($vmid) = @_;
    my @folders = split(/:/, $ENV{RSIO_PVE_GUESTS} // join(':', GUEST_CONFIGS));
    return scalar(grep { -e "$_/$vmid.conf" } @folders);
}

# Attaches a volume. Returns undef, or the error with its code and message.
sub attach {
    my (@words) = @_;
    my $answer = ask(['-a', @words], may_fail => 1);
    my ($outcome) = @{ $answer->{outcomes} // [] };
    return undef if $outcome && $outcome->{done};
    return $outcome && $outcome->{error} ? $outcome->{error} : { code => 'E_INTERNAL', message => 'rsconfig gave no reason' };
}

# Attaches a volume, and waits if its server is not reachable, or does not list a new volume yet. Any other error is returned at once.
sub attach_patiently {
    my (@words) = @_;
    my $error = attach(@words) // return undef;
    my $wait = { E_NO_PATH => RSCONFIG_WAIT_S, E_UNREACHABLE => RSCONFIG_WAIT_S, E_UNKNOWN_VOLUME => NEW_VOLUME_S }->{ $error->{code} };
    return defined($wait) ? attach(@words, "--wait=${wait}s") : $error;
}

# Attaches the disk. A node keeps its hold if it crashed, is frozen, or is cut off. If this node has the guest now, it takes the disk over:
# the server ends the I/O of the other node before this node reads a byte.
sub attach_disk {
    my ($name, $vmid, @server) = @_;
    my $error = attach_patiently($name, @server) // return undef;
    return $error if $error->{code} ne 'E_HELD' || !guest_is_here($vmid);
    warn "disk $name is taken over, because guest $vmid is at this node now: $error->{message}\n";
    return attach_patiently($name, '--take-over', @server);
}

sub activate_volume {
    my ($class, $storeid, $scfg, $volname, $snapname, $cache, $hints) = @_;
    my (undef, undef, $vmid) = $class->parse_volname($volname);
    my $volume = volume_of($class, $scfg, $volname);
    my $name = "$scfg->{'rsio-namespace'}:$volume";
    my @server = defined($scfg->{'rsio-server'}) ? ('--server', $scfg->{'rsio-server'}) : ();
    if (defined($snapname)) {
        my $error = attach_patiently("$name\@$snapname", '--read-only', @server) // return 1;
        die "snapshot $snapname of $volname cannot be attached: $error->{message}\n";
    }
    return 1 if attached_here($scfg)->{$volume};
    my $error = attach_disk($name, $vmid, @server) // return 1;
    my $remedy =
        $error->{code} eq 'E_HELD'
        ? ': stop the guest at the other node first; live migration needs rsio-shared 1 at this storage'
        : '';
    die "disk $volname cannot be attached: $error->{message}$remedy\n";
}

# Detaches a volume if it is attached here. A program that uses the device keeps it, and this dies.
sub detach {
    my ($scfg, $volume) = @_;
    return if !attached_here($scfg)->{$volume};
    my $answer = ask(['-d', "$scfg->{'rsio-namespace'}:$volume", '--wait=' . RSCONFIG_WAIT_S . 's'], may_fail => 1);
    my ($outcome) = @{ $answer->{outcomes} // [] };
    return if $outcome && $outcome->{done};
    my $message = $outcome && $outcome->{error} ? $outcome->{error}{message} : 'rsconfig gave no reason';
    die "volume $volume cannot be detached: $message\n";
}

sub deactivate_volume {
    my ($class, $storeid, $scfg, $volname, $snapname, $cache) = @_;
    detach($scfg, volume_of($class, $scfg, $volname) . (defined($snapname) ? "\@$snapname" : ''));
    return 1;
}

# A container is mounted by the kernel: it needs the device.
sub map_volume {
    my ($class, $storeid, $scfg, $volname, $snapname, $hints) = @_;
    $class->activate_volume($storeid, $scfg, $volname, $snapname, undef, $hints);
    my ($path) = $class->path($scfg, $volname, $storeid, $snapname);
    return $path;
}

sub unmap_volume { return 1; }

# --- snapshots and clones ---------------------------------------------------------------------------------------------------------------

sub volume_snapshot {
    my ($class, $scfg, $storeid, $volname, $snap) = @_;
    die "snapshot name '$snap' is used by RSIO itself: choose another name\n" if $snap =~ HIDDEN_SNAPSHOT;
    ask(['volume', 'snapshot', volume_of($class, $scfg, $volname) . "\@$snap", place_of($scfg)]);
    return undef;
}

sub volume_rollback_is_possible { return 1; }

# The guest is stopped. The content before the roll back stays as a snapshot before-rollback..., which Proxmox VE does not list.
sub volume_snapshot_rollback {
    my ($class, $scfg, $storeid, $volname, $snap) = @_;
    my $volume = volume_of($class, $scfg, $volname);
    detach($scfg, $volume);
    ask(['volume', 'rollback', "$volume\@$snap", place_of($scfg)]);
    return undef;
}

sub volume_snapshot_delete {
    my ($class, $scfg, $storeid, $volname, $snap, $running) = @_;
    my $volume = volume_of($class, $scfg, $volname);
    detach($scfg, "$volume\@$snap");
    ask(['volume', 'remove', "$volume\@$snap", '--yes', place_of($scfg)]);
    return undef;
}

sub volume_snapshot_needs_fsfreeze { return 1; }

sub volume_qemu_snapshot_method { return 'storage'; }

sub volume_snapshot_info {
    my ($class, $scfg, $storeid, $volname) = @_;
    my $info = {};
    for my $snapshot (@{ shown($class, $scfg, $volname)->{snapshots} }) {
        next if $snapshot->{snapshot} =~ HIDDEN_SNAPSHOT;
        $info->{ $snapshot->{snapshot} } = {
            id => $snapshot->{id},
            timestamp => int($snapshot->{createdMs} / 1000),
            'virtual-size' => $snapshot->{sizeBytes},
        };
    }
    return $info;
}

# A template is a volume with another name, and a snapshot that linked clones come from.
sub create_base {
    my ($class, $storeid, $scfg, $volname) = @_;
    my ($vtype, $name, $vmid, undef, undef, $isBase) = $class->parse_volname($volname);
    die "create_base is not possible with a template\n" if $isBase;
    (my $base = $name) =~ s/^vm-/base-/;
    detach($scfg, volume_of($class, $scfg, $volname));
    # A repeated call finds the snapshot or the new name, and goes on.
    my $old = eval { shown($class, $scfg, $volname) };
    if ($old) {
        my $volume = volume_of($class, $scfg, $volname);
        my $has = grep { $_->{snapshot} eq BASE_SNAPSHOT } @{ $old->{snapshots} };
        ask(['volume', 'snapshot', "$volume\@" . BASE_SNAPSHOT, place_of($scfg)]) if !$has;
        ask(['volume', 'rename', $volume, volume_of($class, $scfg, $base), place_of($scfg)]);
    } else {
        shown($class, $scfg, $base);
    }
    return $base;
}

# A clone shares its blocks with the snapshot and depends on nothing: its template can be removed.
sub clone_image {
    my ($class, $scfg, $storeid, $volname, $vmid, $snap) = @_;
    my (undef, undef, undef, undef, undef, $isBase) = $class->parse_volname($volname);
    die "a clone needs a template or a snapshot\n" if !$isBase && !defined($snap);
    my $source = volume_of($class, $scfg, $volname) . '@' . ($snap // BASE_SNAPSHOT);
    my $name = $class->find_free_diskname($storeid, $scfg, $vmid, 'raw');
    my $volume = volume_of($class, $scfg, $name);
    ask(['volume', 'clone', $source, $volume, place_of($scfg)], seconds => CREATE_S);
    give_to_nodes($scfg, $volume);
    return $name;
}

sub volume_has_feature {
    my ($class, $scfg, $feature, $storeid, $volname, $snapname, $running, $opts) = @_;
    my %features = (
        snapshot => { current => 1, snap => 1 },
        clone => { base => 1, snap => 1 },
        template => { current => 1 },
        copy => { base => 1, current => 1, snap => 1 },
        sparseinit => { base => 1, current => 1 },
        rename => { current => 1 },
    );
    my (undef, undef, undef, undef, undef, $isBase) = $class->parse_volname($volname);
    my $key = defined($snapname) ? 'snap' : $isBase ? 'base' : 'current';
    return $features{$feature}{$key} ? 1 : undef;
}

# Disks leave and come as plain bytes: qemu-img copies them from device to device, so that no stream is needed here.
sub volume_export_formats { return (); }
sub volume_import_formats { return (); }

1;
