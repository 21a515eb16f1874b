# SPDX-License-Identifier: Apache-2.0
# A server whose answers have less than was asked for.
#
#	perl scant.pl LISTEN FILE AT WHICH
#
# Serves FILE on the unix socket LISTEN with structured replies.  Who reads at
# byte AT is given WHICH: half of it, none of it, or all of it, but in two parts,
# the second one first.
use strict;
use warnings;
use IO::Socket::UNIX;

my ($listen, $file, $at, $which) = @ARGV;
my $door = IO::Socket::UNIX->new(Local => $listen, Listen => 16) or die $!;
my $size = -s $file;
my $client;
open(my $disk, '<:raw', $file) or die $!;
$SIG{CHLD} = 'IGNORE';

sub take {
	my ($want) = @_;
	my $got = '';
	while (length $got < $want) {
		sysread($client, $got, $want - length $got, length $got) or exit;
	}
	return $got;
}

sub give {
	my $data = join '', @_;
	while (length $data) {
		my $n = syswrite($client, $data) // exit;
		substr($data, 0, $n) = '';
	}
}

sub bytes {
	my ($from, $n) = @_;
	sysseek($disk, $from, 0);
	sysread($disk, my $data, $n);
	return pack('Q>', $from) . $data;
}

sub negotiate {
	my ($option, $type, $data);
	give('NBDMAGIC', 'IHAVEOPT', pack('n', 3));
	take(4);
	while (1) {
		(undef, $option, my $n) = unpack('a8NN', take(16));
		take($n);
		my $reply = sub {
			give(pack('NNNNN', 0x3e889, 0x45565a9, $option,
				$_[0], length $_[1]), $_[1]);
		};
		if ($option == 7) {    # GO: flags and structured replies
			$reply->(3, pack('nQ>n', 0, $size, 3));
			$reply->(1, '');
			return;
		}
		exit if $option == 2;
		$reply->($option == 8 ? 1 : 0x80000001, '');
	}
}

sub serve {
	negotiate();
	while (1) {
		my (undef, undef, $verb, $cookie, $from, $n) =
			unpack('Nnna8Q>N', take(28));
		exit if $verb == 2;
		my $part = sub {
			my ($type, $data, $is_last) = @_;
			give(pack('Nnna8N', 0x668e33ef, $is_last, $type,
				$cookie, length $data), $data);
		};
		my $half = $n / 2;
		if ($verb != 0 || ($from == $at && $which eq 'none')) {
			$part->(0, '', 1);
		} elsif ($from == $at && $which eq 'half') {
			$part->(1, bytes($from, $half), 1);
		} elsif ($from == $at && $which eq 'all') {
			$part->(1, bytes($from + $half, $n - $half), 0);
			$part->(1, bytes($from, $half), 1);
		} else {
			$part->(1, bytes($from, $n), 1);
		}
	}
}

while ($client = $door->accept) {
	next if fork;
	serve();
}
