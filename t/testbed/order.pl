#!/usr/bin/perl
# SPDX-License-Identifier: Apache-2.0
# Gives a guest an order on its serial console, a socket, and prints what it
# says from then on, to the line that was waited for.
#
#	order.pl SOCKET SECONDS PATTERN [ORDER]
use strict;
use warnings;
use IO::Select;
use IO::Socket::UNIX;
use Time::HiRes 'time';

my ($path, $seconds, $pattern, $order) = @ARGV;
my $until = time + $seconds;
my $socket = IO::Socket::UNIX->new(Peer => $path)
    or die "order.pl: $path: $!\n";
my $said = '';
syswrite $socket, "$order\n" if defined $order;
# It stays until it has been heard: who hangs up at once is cut short.
while ($said !~ /^(?:$pattern).*\n/m) {
	my $left = $until - time;
	my $ready = $left > 0 && IO::Select->new($socket)->can_read($left);
	die "order.pl: '$pattern' is not said in $seconds s, but: $said\n"
	    unless $ready;
	sysread($socket, $said, 65536, length $said)
	    or die "order.pl: the guest hung up, having said: $said\n";
	$said =~ tr/\r\0//d;
}
print $said;
