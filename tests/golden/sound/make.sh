#!/bin/sh
# Makes the sound files of this folder from generated tones (ffmpeg with libmp3lame and libvorbis): half a second, on the
# left 440 Hz, on the right 1,000 Hz at half the strength; and the same in one channel with 440 Hz alone.
# Nobody else's sound is in them.
set -eu
cd "$(dirname "$0")"
left="0.5*sin(2*PI*440*t)"
right="0.25*sin(2*PI*1000*t)"
for rate in 44100 48000; do
    stereo="aevalsrc=$left|$right:s=$rate:d=0.5"
    ffmpeg -loglevel error -y -f lavfi -i "$stereo" -map_metadata -1 -c:a libmp3lame -b:a 96k "stereo-$rate.mp3"
    ffmpeg -loglevel error -y -f lavfi -i "$stereo" -map_metadata -1 -c:a libvorbis -q:a 2 "stereo-$rate.ogg"
done
mono="aevalsrc=$left:s=22050:d=0.5"
ffmpeg -loglevel error -y -f lavfi -i "$mono" -map_metadata -1 -c:a libmp3lame -b:a 32k mono-22050.mp3
ffmpeg -loglevel error -y -f lavfi -i "$mono" -map_metadata -1 -c:a libvorbis -q:a 0 mono-22050.ogg
