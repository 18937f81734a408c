#!/bin/sh
# Makes the drum kit's files from the CC0 one-shots: one channel, 48 kHz, 16 bits, peaks at -1 dB,
# the last 30 ms bent to silence. Needs sox 14.4.
#
#     sh make.sh FOLDER_OF_ONE_SHOTS
set -eu
cd "$(dirname "$0")"
from=$1
one() {
    sox -D "$from/$2.flac" -r 48000 -c 1 -b 16 --comment "CC0 1.0, menegass on freesound.org" "$1.flac" gain -h rate -v gain -n -1 fade h 0 0 0.03
}
one kick-soft kick/drum_bass_soft
one kick-hard kick/drum_bass_hard
one snare-soft snare/drum_snare_soft
one snare-hard snare/drum_snare_hard
one tom-low-soft tom/drum_tom_lo_soft
one tom-low-hard tom/drum_tom_lo_hard
one tom-middle-soft tom/drum_tom_mid_soft
one tom-middle-hard tom/drum_tom_mid_hard
one tom-high-soft tom/drum_tom_hi_soft
one tom-high-hard tom/drum_tom_hi_hard
one hat-closed cymbal/drum_cymbal_closed
one hat-pedal cymbal/drum_cymbal_pedal
one hat-open cymbal/drum_cymbal_open
one crash-soft cymbal/drum_cymbal_soft
one crash-hard cymbal/drum_cymbal_hard
one splash other/drum_splash_hard
