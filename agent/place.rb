# frozen_string_literal: true

# Where the socket of a resident agent lies: in a folder that belongs to this
# user and that nobody else may look into. rbleak finds it by the process, so
# that it does not matter which of them it is.
module RbleakAgent__
  module Place
    # sockaddr_un takes 107 bytes and a zero.
    LONGEST = 107
    # Somebody may have taken the name in /tmp, out of malice or by chance.
    ATTEMPTS = 4

    def self.socket
      folder = bases.flat_map { |base| names(base) }.find { |path| own?(path) }
      raise IOError, "no private folder for a socket" unless folder

      File.join(folder, "#{Process.pid}.sock")
    end

    def self.bases
      [ENV["XDG_RUNTIME_DIR"], "/tmp"].select { |base| base && base.start_with?("/") }
    end

    def self.names(base)
      name = "rbleak-agents-#{Process.euid}"
      paths = Array.new(ATTEMPTS) { |index| File.join(base, index.zero? ? name : "#{name}-#{index}") }
      paths.select { |path| path.bytesize + "/4194304.sock".bytesize <= LONGEST }
    end

    # Makes it where it is not there. Not a link, not a stranger's.
    def self.own?(path)
      begin
        Dir.mkdir(path, 0o700)
      rescue Errno::EEXIST
        nil
      end
      found = File.lstat(path)
      found.directory? && found.uid == Process.euid && (found.mode & 0o077).zero?
    rescue SystemCallError
      false
    end
  end
end
