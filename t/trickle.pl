# SPDX-License-Identifier: Apache-2.0
# What a server says, a little at a time.
#
#	perl trickle.pl LISTEN SERVER BYTES SECONDS WHEN
#
# Stands between clients of the unix socket LISTEN and the server at SERVER.
# While there is a file WHEN it passes on no more than BYTES of what the server
# says, and that once in SECONDS; what clients say goes through at once.
use strict;
use warnings;
use IO::Select;
use IO::Socket::UNIX;

my ($listen, $server, $bytes, $seconds, $when) = @ARGV;
my $door = IO::Socket::UNIX->new(Local => $listen, Listen => 16) or die $!;
my %peer;
my %slow;    # what comes from servers
my %next;    # when they may be heard again

sub meet {
	my $client = $door->accept or return;
	my $behind = IO::Socket::UNIX->new(Peer => $server) or return;
	$peer{$client} = $behind;
	$peer{$behind} = $client;
	$slow{$behind} = 1;
	return ($client, $behind);
}

sub now { require Time::HiRes; return Time::HiRes::time() }

my $all = IO::Select->new($door);
while (1) {
	my $slowly = -e $when;
	for my $s ($all->can_read(0.01)) {
		if ($s == $door) {
			$all->add(meet());
			next;
		}
		my $held = $slowly && $slow{$s};
		next if $held && ($next{$s} // 0) > now();
		my $n = sysread($s, my $data, $held ? $bytes : 65536);
		if ($n) {
			$next{$s} = now() + $seconds;
			my $to = $peer{$s};
			local $SIG{PIPE} = 'IGNORE';
			while (length $data) {
				my $k = syswrite($to, $data) // last;
				substr($data, 0, $k) = '';
			}
			next;
		}
		my $other = delete $peer{$s} or next;
		delete $peer{$other};
		$all->remove($s, $other);
		$_->close for $s, $other;
	}
	# what waits for its time is readable all the while
	select(undef, undef, undef, 0.005) if $slowly;
}
