# frozen_string_literal: true

workers 3
threads 1, 1
preload_app!
silence_single_worker_warning if respond_to?(:silence_single_worker_warning)

on_worker_boot do |index|
  $kept = []
  Thread.new do
    loop do
      batch = Array.new(50) do
        Array.new(1000)
      end
      $kept << batch if index == 1
      sleep 0.02
    end
  end
end
