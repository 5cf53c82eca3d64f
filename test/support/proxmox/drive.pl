#!/usr/bin/perl
# Calls one method of the plugin for Proxmox VE, as PVE::Storage does, and prints the answer as JSON: {"result": [...]} or {"died": "..."}.
# Usage: drive.pl PLUGIN METHOD JSON-ARRAY-OF-ARGUMENTS. Warnings of the plugin go to stderr.

use strict;
use warnings;

use FindBin;
use JSON::PP;

my ($plugin, $method, $arguments) = @ARGV;
require "$FindBin::RealBin/base-plugin.pm";
$INC{'PVE/Storage/Plugin.pm'} = __FILE__;
require $plugin;
my $class = 'PVE::Storage::Custom::RSIOPlugin';
my $json = JSON::PP->new->utf8->allow_nonref;
my @result = eval { $class->$method(@{ $json->decode($arguments) }) };
print $json->encode($@ ? { died => "$@" } : { result => \@result }), "\n";
