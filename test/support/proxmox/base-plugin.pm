package PVE::Storage::Plugin;

# The part of Proxmox VE's base class that the plugin of RSIO calls. Invariant: every other method is missing, so that a test fails if the
# plugin comes to need it.

use strict;
use warnings;

sub PVE::Storage::APIVER { return 15; }

sub find_free_diskname {
    my ($class, $storeid, $scfg, $vmid, $fmt) = @_;
    my %used = map { $_->{volid} => 1 } @{ $class->list_images($storeid, $scfg, $vmid) };
    for my $number (0 .. 1000) {
        my $name = "vm-$vmid-disk-$number";
        return $name if !$used{"$storeid:$name"} && !$used{"$storeid:base-$vmid-disk-$number"};
    }
    die "no free name for a disk of guest $vmid\n";
}

1;
