text = 'abc'.encode('UTF-16LE')
measure('grapheme_clusters of a String in UTF-16LE') { text.grapheme_clusters }
