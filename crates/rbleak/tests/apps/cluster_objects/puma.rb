# frozen_string_literal: true

workers 3
threads 1, 1
preload_app!
silence_single_worker_warning if respond_to?(:silence_single_worker_warning)

on_worker_boot do |index|
  $kept = []
  Thread.new do
    began = Process.clock_gettime(Process::CLOCK_MONOTONIC)
    made = 0
    # Evenly, whatever else the machine does: 15 MB a second.
    loop do
      due = (Process.clock_gettime(Process::CLOCK_MONOTONIC) - began) * 1900
      batch = Array.new([due - made, 0].max.to_i) do
        Array.new(1000)
      end
      made += batch.size
      $kept << batch if index == 1
      sleep 0.02
    end
  end
end
