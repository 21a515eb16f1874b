# SPDX-License-Identifier: Apache-2.0
# The smallest guest there is: 512 bytes that a BIOS starts.

# bootsector TEXT: on standard output, one that says TEXT and an end of line on
# its first serial port, and then repeats what is typed there.  Interrupts are
# off, for the BIOS would look for what is typed at each tick of its clock, and
# take it for its own.
bootsector() {
	# cli; xor ax,ax; mov ds,ax; cld; mov si,0x7c26
	printf '\372\061\300\216\330\374\276\046\174'
	# mov dx,0x3f8; say: lodsb; test al,al; jz hear; out dx,al; jmp say
	printf '\272\370\003\254\204\300\164\003\356\353\370'
	# hear: mov dx,0x3fd; in al,dx; test al,1; jz hear
	printf '\272\375\003\354\250\001\164\370'
	# mov dx,0x3f8; in al,dx; out dx,al; jmp hear
	printf '\272\370\003\354\356\353\361'
	printf '\220\220\220%s\r\n\000' "$1"
	head -c $((469 - ${#1})) /dev/zero
	printf '\125\252'
}
