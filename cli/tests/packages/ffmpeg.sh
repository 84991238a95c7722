# packages: ffmpeg
# A second of a moving picture is encoded and measured.
ffmpeg -loglevel error -f lavfi -i testsrc=duration=1:size=160x120:rate=10 /test.mp4
ffprobe -loglevel error -count_frames -show_entries stream=nb_read_frames -of csv=p=0 /test.mp4 | grep -x 10
